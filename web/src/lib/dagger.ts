// What can be told from a dagger as the server sends it.
import type { Dagger, DaggerDraft, Ledger } from './api'
import { includes, type LocalRules } from './paged'

export const topicsOf = (dagger: Dagger) => [...new Set(dagger.spec.streams.flatMap((stream) => stream.topics))]

/** The watermark is the event time up to which results are complete: the age of the last result. */
export function lastResult(dagger: Dagger): string | null {
  return dagger.status.rows > 0 ? dagger.status.watermark ?? null : null
}

export const measurementOf = (dagger: Dagger) => dagger.spec.sinks.find((sink) => sink.kind === 'series')?.measurement ?? null
export const sinkTopicOf = (dagger: Dagger) => dagger.spec.sinks.find((sink) => sink.kind === 'topic')?.topic ?? null

export const forkedFrom = (dagger: Dagger) => dagger.metadata.labels['forked-from'] ?? null

export const isDown = (dagger: Dagger) => ['suspended', 'failed', 'stopped'].includes(dagger.status.state)
export const isUnwell = (dagger: Dagger) => ['failing', 'failed', 'degraded'].includes(dagger.status.state) || !!dagger.status.problem

export const daggerRules: LocalRules<Dagger> = {
  matches: (dagger, query) =>
    (!query.search || [dagger.metadata.name, dagger.spec.sql, ...topicsOf(dagger)].some((text) => includes(text, query.search ?? ''))) &&
    (!query.group || dagger.metadata.group === query.group) &&
    (!query.state || dagger.status.state === query.state) &&
    (!query.cluster || dagger.spec.cluster === query.cluster),
  value: (dagger, sort) => {
    switch (sort) {
      case 'state': return dagger.status.state
      case 'topics': return topicsOf(dagger).join()
      case 'group': return dagger.metadata.group
      case 'measurement': return measurementOf(dagger) ?? ''
      case 'cluster': return dagger.spec.cluster
      case 'rate': return dagger.status.recordsPerSecond
      case 'lag': return dagger.status.lag
      case 'result': return Date.parse(lastResult(dagger) ?? '1970-01-01')
      case 'by': return dagger.metadata.createdBy ?? ''
      default: return dagger.metadata.name
    }
  },
}

/** Where every record went. */
export type Shares = Pick<Ledger, 'consumed' | 'delivered' | 'filtered' | 'late' | 'dead_lettered' | 'held'>

/** What is missing between what came in and where it went; 0 when the ledger adds up. */
export const unaccounted = (ledger: Shares) =>
  ledger.consumed - ledger.delivered - ledger.filtered - ledger.late - ledger.dead_lettered - ledger.held

export function draftOf(dagger: Dagger, name = dagger.metadata.name): DaggerDraft {
  const { group, labels } = dagger.metadata
  return { apiVersion: 'millrace/v1', kind: 'Dagger', metadata: { name, group, labels }, spec: structuredClone(dagger.spec) as unknown as DaggerDraft['spec'] }
}

const WINDOW = /\b(TUMBLE|HOP|SESSION|CUMULATE)\s*\((?:[^()]|\([^()]*\))*?INTERVAL\s+'([\d.:]+)'\s+(SECOND|MINUTE|HOUR|DAY)/i
const UNIT_MS: Record<string, number> = { SECOND: 1000, MINUTE: 60_000, HOUR: 3_600_000, DAY: 86_400_000 }

/** The first window of a query, to say how long a result takes. */
export function windowOf(sql: string): { kind: string; ms: number } | null {
  const found = WINDOW.exec(sql)
  const size = Number(found?.[2])
  if (!found || !size) return null
  return { kind: (found[1] ?? '').toUpperCase(), ms: size * (UNIT_MS[(found[3] ?? '').toUpperCase()] ?? 0) }
}
