import { expect, test } from 'vitest'
import { brokenAt } from './wire'

test('where a message breaks', () => {
  const good = [0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69, 0x1d, 1, 2, 3, 4]
  expect(brokenAt(Uint8Array.from(good))).toBeNull()
  // Field number 0.
  expect(brokenAt(Uint8Array.from([...good, 0x00, 0x01]))).toBe(good.length)
  // A text that is longer than what is left.
  expect(brokenAt(Uint8Array.from([...good, 0x12, 0x05, 0x68]))).toBe(good.length + 1)
  // A wire type that there is not.
  expect(brokenAt(Uint8Array.from([0x0f]))).toBe(1)
  expect(brokenAt(new Uint8Array())).toBeNull()
})
