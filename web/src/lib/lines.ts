// Values with a name and a time become lines over shared times, of which a chart shows the greatest.
import type { Cell, Column, Row } from './api'
import { isTime } from './measurement'
import type { ChartData, Line } from './series'

export interface NamedLine {
  label: string
  values: (number | null)[]
}

/** Collects points in any order. Several of one name and time are added up. Names without any number make no line. */
export function byKey() {
  const points = new Map<string, Map<number, number | null>>()
  const times = new Set<number>()
  const isNumber = new Map<string, boolean>()
  return {
    note(label: string, at: number, value: Cell) {
      times.add(at)
      let line = points.get(label)
      if (!line) points.set(label, (line = new Map()))
      if (typeof value === 'number') {
        isNumber.set(label, true)
        line.set(at, (line.get(at) ?? 0) + value)
      }
    },
    done(): { times: number[]; lines: NamedLine[] } {
      const sorted = [...times].sort((a, b) => a - b)
      const lines = [...points].filter(([label]) => isNumber.get(label)).map(([label, line]) => ({ label, values: sorted.map((at) => line.get(at) ?? null) }))
      return { times: sorted, lines }
    },
  }
}

/** Rows of SQL: a column of time, numbers, and texts that tell lines apart. */
export function linesOf(columns: Column[], rows: Row[]): { times: number[]; lines: NamedLine[] } {
  const time = columns.find(isTime)?.name
  const isNumeric = (name: string) => rows.some((row) => typeof row[name] === 'number') && rows.every((row) => row[name] === null || typeof row[name] === 'number')
  const values = columns.map((column) => column.name).filter((name) => name !== time && isNumeric(name))
  const groups = columns.map((column) => column.name).filter((name) => name !== time && !values.includes(name))
  const lines = byKey()
  if (time) {
    for (const row of rows) {
      const at = Date.parse(String(row[time])) / 1000
      if (Number.isNaN(at)) continue
      const group = groups.map((name) => String(row[name] ?? '') || '–')
      for (const name of values) lines.note([...group, ...(values.length > 1 || group.length === 0 ? [name] : [])].join(' · '), at, row[name] ?? null)
    }
  }
  return lines.done()
}

/** The greatest lines by name, so that a colour stays with its line while the sizes change; the rest as one, if it can be added up. */
export function greatest(all: { times: number[]; lines: NamedLine[] }, max: number, others: 'sum' | null, points: number): ChartData {
  const size = (line: NamedLine) => line.values.reduce<number>((sum, value) => sum + Math.abs(value ?? 0), 0)
  const ranked = all.lines.map((line) => ({ line, size: size(line) })).sort((a, b) => b.size - a.size).map(({ line }) => line)
  const lines: Line[] = ranked.slice(0, max).sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }))
  const rest = ranked.slice(max)
  if (rest.length > 0 && others === 'sum') {
    const values = all.times.map((_, index) => rest.reduce<number | null>((sum, line) => (line.values[index] == null ? sum : (sum ?? 0) + line.values[index]), null))
    lines.push({ label: '', values, isOthers: true })
  }
  return { times: all.times, lines, hidden: rest.length, points }
}
