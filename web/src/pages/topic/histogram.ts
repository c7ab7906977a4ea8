// The times of a histogram of the record rate, apart from how it is drawn.
import type { TopicRate } from '$lib/api'

export interface Span {
  /** Milliseconds since 1970. */
  from: number
  to: number
}

/** How far back the histogram can look, beside the whole topic. */
export const SPANS: Record<string, number> = { '5m': 300_000, '15m': 900_000, '1h': 3_600_000, '6h': 21_600_000, '24h': 86_400_000 }

/** `FROM..TO` in the address: a span that stays where it is. */
export function parseZoom(text: string): Span | null {
  const [from, to] = text.split('..').map((part) => Date.parse(part))
  return from !== undefined && to !== undefined && from < to ? { from, to } : null
}

export const zoomText = (span: Span) => `${new Date(span.from).toISOString()}..${new Date(span.to).toISOString()}`

/** A span that moves with the clock moves by whole steps, so that what is counted in a step stays the same. */
export function movingSpan(length: number, buckets: number, now: number): Span {
  const step = length / buckets
  const to = Math.ceil(now / step) * step
  return { from: to - length, to }
}

export const stepOf = (rate: TopicRate, index: number): Span => {
  const from = Date.parse(rate.from) + index * rate.stepMs
  return { from, to: from + rate.stepMs }
}

/** The step that a time falls into, within the histogram. */
export function indexAt(rate: TopicRate, time: number): number {
  const index = Math.floor((time - Date.parse(rate.from)) / rate.stepMs)
  return Math.max(0, Math.min(rate.counts.length - 1, index))
}

export const shareOf = (rate: TopicRate, time: number) => (time - Date.parse(rate.from)) / Math.max(1, rate.stepMs * rate.counts.length)

/** The bars that touch none of `within`, then those that do, then the one that is still being filled; each as one path of 0..1 by 0..1. */
export function bars(rate: TopicRate, within: Span | null, now: number): { rest: string; read: string; open: string; peak: number } {
  const peak = Math.max(0, ...rate.counts)
  const paths = { rest: '', read: '', open: '' }
  const width = 1 / rate.counts.length
  for (const [index, count] of rate.counts.entries()) {
    if (count === 0) continue
    const { from, to } = stepOf(rate, index)
    const kind = within && to > within.from && from <= within.to ? 'read' : to > now ? 'open' : 'rest'
    const height = Math.max(count / peak, 0.02)
    const [x, gap] = [index * width, width * 0.14]
    paths[kind] += `M${(x + gap / 2).toFixed(5)} 1v${(-height).toFixed(4)}h${(width - gap).toFixed(5)}v${height.toFixed(4)}z`
  }
  return { ...paths, peak }
}
