// Numbers as this page has seen them: the server tells only the current ones.
import { SvelteMap } from 'svelte/reactivity'
import type { ChartData } from './series'

/** Ten minutes at one look every two seconds. */
const KEPT = 300
type Seen = { at: number; values: Record<string, number | null> }
const seen = new SvelteMap<string, Seen[]>()

export function noteNumbers(key: string, values: Seen['values']): void {
  seen.set(key, [...(seen.get(key) ?? []).slice(1 - KEPT), { at: Date.now() / 1000, values }])
}

/** One line for each name, over the times at which it was seen. */
export function recentLines(key: string, lines: [name: string, label: string][]): ChartData {
  const points = seen.get(key) ?? []
  return { times: points.map((point) => point.at), lines: lines.map(([name, label]) => ({ label, values: points.map((point) => point.values[name] ?? null) })), hidden: 0, points: points.length * lines.length }
}
