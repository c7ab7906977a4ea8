import { expect, test, vi } from 'vitest'
import { toChart } from './series'

// Texts come from the browser's language; here there is no browser.
vi.mock('./i18n', () => ({ t: {} }))

const at = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString()
const columns = { time: 'time', group: 'city', values: ['n'] }
const row = (second: number, city: string, n: number | null) => ({ time: at(second), city, n })
const chart = (rows: ReturnType<typeof row>[], others: 'sum' | null = null) => toChart({ rows }, columns, { others })

test('one line for each group, whatever the order of the rows, and a gap where times are missing', () => {
  const rows = [row(60, 'b', 2), row(0, 'b', 1), row(0, 'a', 5), row(60, 'a', 6), row(120, 'a', 7), row(300, 'a', 8)]
  const { times, lines, points } = chart(rows)
  expect(times.map((time) => time - (times[0] ?? 0))).toEqual([0, 60, 120, 180, 300])
  expect(lines).toEqual([{ label: 'a', values: [5, 6, 7, null, 8] }, { label: 'b', values: [1, 2, null, null, null] }])
  expect(points).toBe(6)
})

test('rows of one group at one time are added up; what is no number is left out', () => {
  expect(chart([row(0, 'a', 1), row(0, 'a', 2), row(60, 'a', null), { ...row(0, 'a', 9), time: 'never' }]).lines).toEqual([{ label: 'a', values: [3, null] }])
})

test('the eight largest are shown, the rest is one line', () => {
  const rows = Array.from({ length: 11 }, (_, index) => row(0, `city ${index}`, index))
  expect(chart(rows).hidden).toBe(3)
  expect(chart(rows).lines.map((line) => line.label)).toEqual([3, 4, 5, 6, 7, 8, 9, 10].map((index) => `city ${index}`))
  expect(chart(rows, 'sum').lines.at(-1)).toEqual({ label: '', values: [0 + 1 + 2], isOthers: true })
})
