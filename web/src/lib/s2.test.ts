import { expect, test } from 'vitest'
import { idToCell, parseId } from './s2'

test('the faces and a known cell', () => {
  // Face 0 is centred on 0, 0 and its corners are at 45 degrees east and west.
  expect(idToCell('1')).toMatchObject({ level: 0, token: '1' })
  expect(idToCell('1')?.ring[0]?.[0]).toBeCloseTo(-45)
  const jakarta = idToCell('3344468579306176512')
  expect(jakarta?.level).toBe(13)
  const [long, lat] = jakarta?.ring[0] ?? [0, 0]
  expect(long).toBeGreaterThan(106.5)
  expect(long).toBeLessThan(107.2)
  expect(lat).toBeGreaterThan(-6.6)
  expect(lat).toBeLessThan(-5.9)
  expect(idToCell(jakarta?.token ?? '')).toEqual(jakarta)
})

test('what is no cell', () => {
  for (const text of ['', '0', 'FOOD', '12345678901234567890123', 'f000000000000000', 'hello']) expect(parseId(text)).toBeNull()
})
