// The queries that a dagger's chart makes from its choices, in both languages.
import { parseDuration } from './format'
import { durationText, rangeText, type Range } from './influx/query'
import { quotedName } from './influx/tokens'
import { aggregateFor, sqlName, type Shape } from './measurement'

export type Language = 'influxql' | 'sql'

export interface Choices {
  range: Range
  /** Tags by which lines are told apart. */
  by: string[]
}

export const RANGES = ['5m', '15m', '1h', '6h', '24h', '7d'] as const
export const RANGE_DEFAULT = '15m'
/** How often the chart asks again, in milliseconds; 0 is never. */
export const REFRESHES: Record<string, number> = { off: 0, live: 1500, '5s': 5000, '30s': 30_000, '1m': 60_000 }
export const REFRESH_DEFAULT = '5s'

const POINTS_MAX = 750
const STEP_DEFAULT_MS = 30_000
const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 360, 720, 1440]

export const rangeMs = (range: Range) => (range.kind === 'last' ? range.ms : Math.max(0, Date.parse(range.to) - Date.parse(range.from)))

/** As it stands in the address: `15m`, or two times with a slash. */
export function readRange(text: string): Range | null {
  const [from, to, more] = text.split('/')
  if (from && to && more === undefined) {
    return Date.parse(from) < Date.parse(to) ? { kind: 'between', from, to } : null
  }
  const ms = parseDuration(text)
  return ms ? { kind: 'last', ms } : null
}

export const writeRange = (range: Range) => (range.kind === 'between' ? `${range.from}/${range.to}` : RANGES.find((name) => parseDuration(name) === range.ms) ?? durationText(range.ms))

/** The distance of the points: the dagger's window, or so many of them together that a line has few enough points. */
export function stepFor(windowMs: number | null, range: Range): number {
  const window = windowMs ?? STEP_DEFAULT_MS
  const times = STEPS.find((factor) => rangeMs(range) / (window * factor) <= POINTS_MAX) ?? STEPS.at(-1) ?? 1
  return window * times
}

/** Results that ended long ago are shown where they end: a chart of the last minutes would be empty. */
export function anchored(range: Range, newest: string | null, now: number): Range {
  const end = newest === null ? NaN : Date.parse(newest)
  if (range.kind !== 'last' || Number.isNaN(end) || now - end <= range.ms) return range
  // A window's row has the time of its end, which belongs to the picture.
  return { kind: 'between', from: new Date(end - range.ms).toISOString(), to: new Date(end).toISOString() }
}

/** Counts are added up, and then one call does for all. Levels, such as an average, are averaged again. */
export function influxQuery(shape: Shape, stepMs: number, choices: Choices): string {
  const others = shape.columns.filter((column) => /^(u?int|float|decimal)/i.test(column.type) && !shape.measures.includes(column))
  const isAllCounts = others.length === 0 && shape.measures.every((column) => aggregateFor(column) === 'sum')
  const call = (name: string, column: Shape['measures'][number]) => `${name}(${quotedName(column.name)}) AS ${quotedName(`${name}_${column.name}`)}`
  // What has no numbers can still be counted.
  const select = shape.measures.length === 0 ? 'count(*)' : isAllCounts ? 'sum(*)' : shape.measures.map((column) => call(aggregateFor(column) === 'sum' ? 'sum' : 'mean', column)).join(', ')
  const groups = [`time(${durationText(stepMs)})`, ...choices.by.map(quotedName)].join(', ')
  return `SELECT ${select} FROM ${quotedName(shape.measurement)} WHERE ${rangeText(choices.range)} GROUP BY ${groups} fill(null)`
}

export function sqlQuery(shape: Shape, stepMs: number, choices: Choices): string {
  const { range, by } = choices
  const when = range.kind === 'last' ? `time > now() - INTERVAL '${seconds(range.ms)}'` : `time >= TIMESTAMP '${range.from}' AND time <= TIMESTAMP '${range.to}'`
  const tags = by.map((tag) => `${sqlName(tag)}, `).join('')
  const measures = shape.measures.map((column) => `${aggregateFor(column)}(${sqlName(column.name)}) AS ${sqlName(column.name)}`).join(', ') || 'count(*) AS points'
  return `SELECT date_bin(INTERVAL '${seconds(stepMs)}', time) AS time, ${tags}${measures}
FROM ${shape.table}
WHERE ${when}
GROUP BY ${[1, ...by.map((_, index) => index + 2)].join(', ')}
ORDER BY 1`
}

const seconds = (ms: number) => (ms % 1000 === 0 ? `${ms / 1000} seconds` : `${ms} milliseconds`)
