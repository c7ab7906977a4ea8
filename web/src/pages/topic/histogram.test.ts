import { expect, test } from 'vitest'
import type { TopicRate } from '$lib/api'
import { bars, indexAt, movingSpan, parseZoom, shareOf, zoomText } from './histogram'

const START = Date.parse('2026-01-01T00:00:00Z')
const rate: TopicRate = { from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:00:40Z', stepMs: 10_000, counts: [5, 0, 10, 1], earliest: null, latest: null }
const count = (path: string) => path.split('M').length - 1

test('a moving span keeps its steps where they are', () => {
  const [early, late] = [movingSpan(300_000, 60, START + 1), movingSpan(300_000, 60, START + 4_999)]
  expect(early).toEqual(late)
  expect(early.to).toBe(START + 5_000)
  expect(movingSpan(300_000, 60, START + 5_001).to).toBe(START + 10_000)
})

test('a zoom goes through the address', () => {
  expect(parseZoom(zoomText({ from: START, to: START + 1 }))).toEqual({ from: START, to: START + 1 })
  expect(parseZoom('2026-01-02..2026-01-01')).toBeNull()
  expect(parseZoom('nonsense')).toBeNull()
})

test('a time has its step and its place', () => {
  expect([START - 1, START + 25_000, START + 99_999].map((time) => indexAt(rate, time))).toEqual([0, 2, 3])
  expect(shareOf(rate, START + 20_000)).toBe(0.5)
})

test('bars that are read, that are still filled, and the rest', () => {
  const drawn = bars(rate, { from: START + 21_000, to: START + 22_000 }, START + 35_000)
  expect([drawn.rest, drawn.read, drawn.open].map(count)).toEqual([1, 1, 1])
  expect(drawn.peak).toBe(10)
})
