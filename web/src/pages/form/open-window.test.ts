import { expect, test } from 'vitest'
import { openAfter } from './open-window'

const MINUTE = { kind: 'TUMBLE', ms: 60_000 }
const AT = Date.parse('2026-01-01T00:01:30Z')
const query = (time: string) => `SELECT count(1) AS n, ${time} AS window_timestamp FROM t GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)`

test('a window is open until its end has passed, and what it waits for', () => {
  expect(openAfter(query("TUMBLE_END(rowtime, INTERVAL '1' MINUTE)"), MINUTE, AT, 5000)).toBe(AT - 5000)
  // The window that began at 00:01:00 is open, the one of 00:00:00 is not.
  const start = openAfter(query("TUMBLE_START(rowtime, INTERVAL '1' MINUTE)"), MINUTE, AT, 5000) ?? 0
  expect([Date.parse('2026-01-01T00:01:00Z') > start, Date.parse('2026-01-01T00:00:00Z') > start]).toEqual([true, false])
  expect(openAfter('SELECT a FROM t', null, AT, 0)).toBeNull()
  expect(openAfter(query('rowtime'), MINUTE, AT, 0)).toBeNull()
})
