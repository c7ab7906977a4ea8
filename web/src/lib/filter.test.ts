import { expect, test } from 'vitest'
import type { TopicRecord } from './api/types'
import { parseFilter } from './filter'

const record: TopicRecord = { partition: 1, offset: 7, timestamp: '2026-01-01T00:00:00Z', key: 'D-1', headers: {}, value: { status: 'ON_TRIP', price: 900, at: { lat: -6.2 } } }
const matches = (text: string) => {
  const filter = parseFilter(text)
  return typeof filter === 'string' ? filter : filter(record)
}

test('conditions, texts and what is neither', () => {
  expect(matches('')).toBe(true)
  expect(matches('on_trip')).toBe(true)
  expect(matches('status = ON_TRIP and price > 100')).toBe(true)
  expect(matches('price > 1000')).toBe(false)
  expect(matches('at.lat < 0 and key = D-1 and partition = 1')).toBe(true)
  expect(matches("status ~ 'trip'")).toBe(true)
  expect(matches('status != ON_TRIP')).toBe(false)
  expect(matches('missing != 1')).toBe(true)
  expect(matches('= 5')).toBe('= 5')
})
