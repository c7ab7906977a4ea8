import { expect, test, vi } from 'vitest'
import { greatest, linesOf } from '../lines'
import { errorOf, readAnswer, SERIES_MAX } from './answer'

// Texts come from the browser's language; here there is no browser.
vi.mock('../i18n', () => ({ t: {} }))

// As InfluxDB 1.6 answers `SELECT sum(*) FROM m WHERE time > now() - 900s GROUP BY time(30s), status fill(null)` with epoch=ms.
const RECORDED = {
  results: [{ statement_id: 0, series: [
    { name: 'm', tags: { status: 'AVAILABLE' }, columns: ['time', 'sum_drivers', 'sum_trips'], values: [[1000, 5, 1], [31_000, null, null], [61_000, 7, 2]] },
    { name: 'm', tags: { status: '' }, columns: ['time', 'sum_drivers', 'sum_trips'], values: [[1000, 1, null], [31_000, 2, null], [61_000, null, null]] },
  ] }],
}

test('every tag set and column is a line; what has no number is none', () => {
  const { times, lines, columns, rows } = readAnswer(RECORDED)
  expect(times).toEqual([1, 31, 61])
  expect(lines).toEqual([
    { label: 'AVAILABLE · sum_drivers', values: [5, null, 7] },
    { label: 'AVAILABLE · sum_trips', values: [1, null, 2] },
    { label: '– · sum_drivers', values: [1, 2, null] },
  ])
  expect(columns.map((column) => column.name)).toEqual(['time', 'status', 'sum_drivers', 'sum_trips'])
  expect(rows[1]).toEqual({ time: '1970-01-01T00:00:31Z', status: 'AVAILABLE', sum_drivers: null, sum_trips: null })
})

test('one column without tags is called as it is; with tags by them', () => {
  const one = (tags?: Record<string, string>) => readAnswer({ results: [{ series: [{ name: 'm', ...(tags ? { tags } : {}), columns: ['time', 'mean'], values: [[0, 1.5]] }] }] }).lines[0]?.label
  expect([one(), one({ a: 'x', b: 'y' })]).toEqual(['mean', 'x · y'])
})

test('several measurements tell their names', () => {
  const answer = readAnswer({ results: [{ series: ['a', 'b'].map((name) => ({ name, columns: ['time', 'n'], values: [[0, 1]] })) }] })
  expect(answer.lines.map((line) => line.label)).toEqual(['a', 'b'])
  expect(answer.columns.map((column) => column.name)).toEqual(['time', 'name', 'n'])
})

test('what is no chart is a table', () => {
  const shown = readAnswer({ results: [{ series: [{ name: 'm', columns: ['fieldKey', 'fieldType'], values: [['n', 'integer']] }] }] })
  expect(shown).toMatchObject({ rows: [{ fieldKey: 'n', fieldType: 'integer' }], lines: [], times: [] })
  expect(readAnswer({ results: [{ statement_id: 0 }] })).toMatchObject({ rows: [], lines: [] })
})

test('errors are found wherever they stand, and too many series are cut and said', () => {
  expect(errorOf({ error: 'a' })).toBe('a')
  expect(errorOf({ results: [{}, { error: 'b' }] })).toBe('b')
  expect(errorOf(RECORDED)).toBeNull()
  const series = Array.from({ length: SERIES_MAX + 3 }, (_, index) => ({ name: 'm', tags: { id: String(index) }, columns: ['time', 'n'], values: [[0, index]] }))
  const answer = readAnswer({ results: [{ series, partial: true }] })
  expect([answer.lines.length, answer.seriesLeft, answer.isPartial]).toEqual([SERIES_MAX, 3, true])
})

test('the greatest lines are shown, by name, and the rest as one where that means something', () => {
  const all = { times: [0], lines: Array.from({ length: 12 }, (_, index) => ({ label: `line ${index}`, values: [index] })) }
  const some = greatest(all, 8, null, 12)
  expect([some.lines.length, some.hidden, some.lines[0]?.label, some.lines.at(-1)?.label]).toEqual([8, 4, 'line 4', 'line 11'])
  expect(greatest(all, 8, 'sum', 12).lines.at(-1)).toEqual({ label: '', values: [0 + 1 + 2 + 3], isOthers: true })
  expect(greatest(all, 20, 'sum', 12).hidden).toBe(0)
})

test('rows of SQL become the same lines', () => {
  const columns = [{ name: 'time', type: 'Timestamp(Nanosecond, None)' }, { name: 'status', type: 'Utf8' }, { name: 'drivers', type: 'Int64' }]
  const row = (time: string, status: string | null, drivers: number | null) => ({ time, status, drivers })
  const { times, lines } = linesOf(columns, [row('1970-01-01T00:00:30Z', 'A', 2), row('1970-01-01T00:00:00Z', 'A', 1), row('1970-01-01T00:00:00Z', null, 4), row('1970-01-01T00:00:30Z', 'A', 3)])
  expect(times).toEqual([0, 30])
  expect(lines).toEqual([{ label: 'A', values: [1, 5] }, { label: '–', values: [4, null] }])
})
