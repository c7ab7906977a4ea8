// Rows of a query as lines of a chart.
import type { Column, QueryResult, Row } from './api'
import { isTime } from './measurement'

export interface Line {
  label: string
  values: (number | null)[]
  isOthers?: boolean
}

export interface ChartData {
  /** Seconds since 1970. */
  times: number[]
  lines: Line[]
  hidden: number
  points: number
}

const LINES_MAX = 8

export interface Columns {
  time: string
  group: string | null
  values: string[]
}

/** A column of time, at most one of text, and the numbers; `null` when a chart makes no sense. */
export function chartColumns(columns: Column[], rows: Row[]): Columns | null {
  const isNumeric = (name: string) => rows.some((row) => typeof row[name] === 'number') && rows.every((row) => row[name] === null || typeof row[name] === 'number')
  const time = columns.find((column) => isTime(column)) ?? columns.find((column) => rows.length > 0 && rows.every((row) => looksLikeTime(row[column.name])))
  if (!time) return null
  const values = columns.filter((column) => column !== time && isNumeric(column.name)).map((column) => column.name)
  const group = columns.find((column) => column !== time && !values.includes(column.name))?.name ?? null
  return values.length > 0 ? { time: time.name, group, values } : null
}

const looksLikeTime = (value: unknown) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)

export function toChart(result: Pick<QueryResult, 'rows'>, columns: Columns, options: { others?: 'sum' | null; chosen?: string } = {}): ChartData {
  const chosen = options.chosen && columns.values.includes(options.chosen) ? options.chosen : columns.values[0] ?? ''
  const wanted = columns.group ? [chosen] : columns.values
  const { group } = columns
  const table = new Map<string, Map<number, number>>()
  const allTimes = new Set<number>()
  for (const row of result.rows) {
    const time = Date.parse(String(row[columns.time])) / 1000
    if (Number.isNaN(time)) continue
    allTimes.add(time)
    for (const name of wanted) {
      const value = row[name]
      if (typeof value !== 'number') continue
      const key = group ? String(row[group] ?? '–') : name
      const line = table.get(key) ?? new Map<number, number>()
      // Several rows of one group at one time (another column tells them apart) are added up.
      line.set(time, (line.get(time) ?? 0) + value)
      table.set(key, line)
    }
  }
  const times = withGaps([...allTimes].sort((a, b) => a - b))
  const size = (line: Map<number, number>) => [...line.values()].reduce((sum, value) => sum + Math.abs(value), 0)
  const ranked = [...table.entries()].sort((a, b) => size(b[1]) - size(a[1]))
  const shown = ranked.slice(0, LINES_MAX)
  const rest = ranked.slice(LINES_MAX)
  // By name, so that a colour stays with its group while the sizes change.
  shown.sort((a, b) => a[0].localeCompare(b[0], 'en', { numeric: true }))
  const lines: Line[] = (group ? shown : ranked.slice(0, LINES_MAX)).map(([label, values]) => ({ label, values: times.map((time) => values.get(time) ?? null) }))
  if (rest.length > 0 && options.others === 'sum') {
    const values = times.map((time) => {
      const there = rest.map(([, line]) => line.get(time)).filter((value): value is number => value !== undefined)
      return there.length > 0 ? there.reduce((sum, value) => sum + value, 0) : null
    })
    lines.push({ label: '', values, isOthers: true })
  }
  return { times, lines, hidden: rest.length, points: result.rows.length }
}

/** Where more than one and a half steps are missing, a time without values breaks the line. */
function withGaps(times: number[]): number[] {
  const steps = times.slice(1).map((time, index) => time - (times[index] ?? 0)).sort((a, b) => a - b)
  const step = steps[Math.floor(steps.length / 2)]
  if (!step) return times
  return times.flatMap((time, index) => {
    const before = times[index - 1]
    return before !== undefined && time - before > step * 1.5 ? [before + step, time] : [time]
  })
}
