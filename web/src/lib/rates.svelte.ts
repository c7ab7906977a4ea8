// The rates of daggers as this page has seen them: the server tells only the current one.
import { SvelteMap } from 'svelte/reactivity'

const KEPT = 60
const seen = new SvelteMap<string, number[]>()

export function noteRate(key: string, rate: number): void {
  const before = seen.get(key) ?? []
  seen.set(key, [...before.slice(1 - KEPT), rate])
}

export const rateHistory = (key: string): number[] => seen.get(key) ?? []
