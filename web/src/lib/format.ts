// Numbers, sizes and times as people read them: three significant digits and a unit; the exact value goes into a title.
import { language, t } from './i18n'

const grouped = new Intl.NumberFormat(language, { maximumFractionDigits: 6 })
const UNITS: [number, string][] = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]
const BYTE_UNITS: [number, string][] = [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']]

/** 58.2 k; whole numbers below ten thousand stay whole. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  if (Number.isInteger(value) && Math.abs(value) < 10_000) return grouped.format(value)
  return scaled(value, UNITS, '')
}

export function exact(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'number' ? grouped.format(value) : value
}

export function rate(value: number): string {
  return `${value === 0 ? '0' : scaled(value, UNITS, '')}/s`
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  return value < 1000 ? `${value} B` : scaled(value, BYTE_UNITS, ' ')
}

function scaled(value: number, units: [number, string][], gap: string): string {
  for (const [size, unit] of units) {
    if (Math.abs(value) >= size * 0.9995) return `${digits(value / size)}${gap || ' '}${unit}`
  }
  return digits(value)
}

export function digits(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size < 0.001) return value.toExponential(1)
  const places = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
  const text = value.toFixed(places)
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

/** 45 s, 12 min, 3 h, 5 d. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 1) return `${Math.round(Math.max(0, ms))} ms`
  if (seconds < 100) return `${seconds < 10 ? digits(Math.round(seconds * 10) / 10) : Math.round(seconds)} s`
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

export function ago(time: string | number | null | undefined, now: number): string {
  if (time === null || time === undefined) return '–'
  const ms = now - (typeof time === 'number' ? time : Date.parse(time))
  if (ms < 1000 && ms > -2000) return t.time.now
  return ms < 0 ? t.time.in(duration(-ms)) : t.time.ago(duration(Math.floor(ms / 1000) * 1000))
}

const absolute = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' })
const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const minute = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })

export function dateTime(time: string | number | null | undefined): string {
  if (time === null || time === undefined) return ''
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? String(time) : absolute.format(date)
}

export const clockTime = (time: string | number) => clock.format(new Date(time))
export const clockMinute = (time: string | number) => minute.format(new Date(time))
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

/** `60s`, `1m`, `1h30m` in milliseconds, as the server writes durations. */
export function parseDuration(text: string): number | null {
  const sizes: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }
  let total = 0
  let rest = text.trim()
  while (rest) {
    const part = /^(\d+(?:\.\d+)?)(ms|min|s|m|h|d)\s*/.exec(rest)
    if (!part) return null
    total += Number(part[1]) * (sizes[part[2] ?? ''] ?? 0)
    rest = rest.slice(part[0].length)
  }
  return total || null
}
