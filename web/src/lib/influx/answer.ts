// What InfluxDB's `/query` answers, as rows of a table and as lines of a chart.
import type { Column, Row } from '../api'
import { byKey, type NamedLine } from '../lines'

export interface InfluxSeries {
  name?: string
  tags?: Record<string, string>
  columns: string[]
  values?: (string | number | boolean | null)[][]
  partial?: boolean
}

export interface InfluxResult {
  statement_id?: number
  series?: InfluxSeries[]
  messages?: { level: string; text: string }[]
  error?: string
  partial?: boolean
}

export interface InfluxAnswer {
  results?: InfluxResult[]
  error?: string
}

/** More series than this are not even sorted: the browser would stand still. */
export const SERIES_MAX = 2000

export interface Answer {
  columns: Column[]
  rows: Row[]
  /** Seconds since 1970. */
  times: number[]
  lines: NamedLine[]
  /** There were more series, which were not looked at. */
  seriesLeft: number
  /** The server has cut the answer. */
  isPartial: boolean
}

/** The first error of an answer that came with status 200. */
export const errorOf = (answer: InfluxAnswer): string | null => answer.error ?? answer.results?.find((result) => result.error)?.error ?? null

/** `time` in milliseconds (`epoch=ms`). */
export function readAnswer(answer: InfluxAnswer): Answer {
  const all = (answer.results ?? []).flatMap((result) => result.series ?? [])
  const series = all.slice(0, SERIES_MAX)
  const hasTime = series.some((one) => one.columns[0] === 'time')
  const names = new Set(series.map((one) => one.name ?? ''))
  const tags = [...new Set(series.flatMap((one) => Object.keys(one.tags ?? {})))]
  const values = [...new Set(series.flatMap((one) => one.columns))].filter((name) => name !== 'time')
  const columns: Column[] = [
    ...(hasTime ? [{ name: 'time', type: 'Timestamp' }] : []),
    ...(names.size > 1 ? [{ name: 'name', type: 'measurement' }] : []),
    ...tags.map((name) => ({ name, type: 'tag' })),
    ...values.map((name) => ({ name, type: 'value' })),
  ]
  const rows: Row[] = []
  const lines = byKey()
  const isSeveral = values.length > 1
  for (const one of series) {
    const shared: Row = { ...(names.size > 1 ? { name: one.name ?? '' } : {}), ...one.tags }
    const group = [...(names.size > 1 ? [one.name ?? ''] : []), ...tags.map((tag) => one.tags?.[tag] || '–')]
    const labels = one.columns.map((column) => [...group, ...(isSeveral || group.length === 0 ? [column] : [])].join(' · '))
    for (const point of one.values ?? []) {
      const row: Row = { ...shared }
      const at = typeof point[0] === 'number' && one.columns[0] === 'time' ? point[0] / 1000 : null
      one.columns.forEach((column, index) => {
        const value = point[index] ?? null
        row[column] = column === 'time' && at !== null ? new Date(at * 1000).toISOString().replace('.000Z', 'Z') : value
        if (column !== 'time' && at !== null) lines.note(labels[index] ?? column, at, value)
      })
      rows.push(row)
    }
  }
  const isPartial = (answer.results ?? []).some((result) => result.partial) || all.some((one) => one.partial)
  return { columns, rows, ...lines.done(), seriesLeft: all.length - series.length, isPartial }
}
