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
  const at = timesOf(result.rows, columns.time)
  const times = withGaps([...new Set(at)].filter((time) => !Number.isNaN(time)).sort((a, b) => a - b))
  const places = new Map(times.map((time, index) => [time, index]))
  const table = new Map<string, (number | null)[]>()
  let place = 0
  result.rows.forEach((row, index) => {
    const time = at[index] ?? NaN
    // Rows come in the order of time, nearly always: then the place is the last one or the one after it.
    if (times[place] !== time) place = times[place + 1] === time ? place + 1 : places.get(time) ?? -1
    if (place < 0) return void (place = 0)
    for (const name of wanted) {
      const value = row[name]
      if (typeof value !== 'number') continue
      const key = group ? String(row[group] ?? '–') : name
      let line = table.get(key)
      if (!line) table.set(key, (line = new Array<number | null>(times.length).fill(null)))
      // Several rows of one group at one time (another column tells them apart) are added up.
      line[place] = (line[place] ?? 0) + value
    }
  })
  const size = (line: (number | null)[]) => line.reduce<number>((sum, value) => sum + Math.abs(value ?? 0), 0)
  const ranked = [...table].map(([label, values]) => ({ label, values, size: size(values) })).sort((a, b) => b.size - a.size)
  const shown = ranked.slice(0, LINES_MAX)
  const rest = ranked.slice(LINES_MAX)
  // By name, so that a colour stays with its group while the sizes change.
  if (group) shown.sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }))
  const lines: Line[] = shown.map(({ label, values }) => ({ label, values }))
  if (rest.length > 0 && options.others === 'sum') {
    const values = times.map((_, index) => rest.reduce<number | null>((sum, line) => (line.values[index] == null ? sum : (sum ?? 0) + line.values[index]), null))
    lines.push({ label: '', values, isOthers: true })
  }
  return { times, lines, hidden: rest.length, points: result.rows.length }
}

/** Seconds since 1970 for each row. Rows of one window have the same text one after the other. */
function timesOf(rows: Row[], column: string): number[] {
  let [text, time]: [unknown, number] = [undefined, NaN]
  return rows.map((row) => {
    if (row[column] !== text) [text, time] = [row[column], Date.parse(String(row[column])) / 1000]
    return time
  })
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
