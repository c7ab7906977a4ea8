// Firehoses, and the kinds of sinks that they write to.
import { at, call, callIfThere, search } from './client'
import type { Firehose, FirehoseDraft, FirehosePreview, FirehoseValidation, SeekTarget, SentRecord, SinkDescription } from './firehose-types'
import type { ListQuery, Page, Revision, StateChange } from './types'

export * from './firehose-types'

const press = <T>(path: string, body?: unknown, more: object = {}) => call<T>(path, { method: 'POST', body, isPress: true, ...more })

export const firehoses = {
  list: (query: ListQuery, signal?: AbortSignal) => call<Page<Firehose>>(`/firehoses${search(query)}`, { signal }),
  get: (name: string, signal?: AbortSignal) => call<Firehose>(`/firehoses/${at(name)}`, { signal }),
  /** With a generation, only when nobody has changed it since. */
  apply: (draft: FirehoseDraft, ifMatch?: number) => press<unknown>('/firehoses', draft, { ifMatch }),
  remove: (name: string) => call<void>(`/firehoses/${at(name)}`, { method: 'DELETE' }),
  pause: (name: string) => press<unknown>(`/firehoses/${at(name)}/pause`),
  resume: (name: string) => press<unknown>(`/firehoses/${at(name)}/resume`),
  seek: (name: string, target: SeekTarget) => press<unknown>(`/firehoses/${at(name)}/seek`, target),
  scale: (name: string, parallelism: number) => press<unknown>(`/firehoses/${at(name)}/scale`, { parallelism }),
  validate: (draft: FirehoseDraft, signal?: AbortSignal) => call<FirehoseValidation>('/firehoses/validate', { method: 'POST', body: draft, signal }),
  preview: (draft: FirehoseDraft, signal?: AbortSignal) => call<FirehosePreview>('/firehoses/preview', { method: 'POST', body: draft, signal }),
  /** Really sends it; the place of the firehose in its topic stays. */
  sendOne: (draft: FirehoseDraft, record: { partition: number; offset: number }) => press<SentRecord>('/firehoses/send-one', { firehose: draft, ...record }),
  rollback: (name: string, generation: number, ifMatch: number) => press<unknown>(`/firehoses/${at(name)}/rollback`, { generation }, { ifMatch }),
  /** `null` from a server that keeps none. */
  revisions: (name: string, signal?: AbortSignal) => callIfThere<{ items: Revision[] }>(`/firehoses/${at(name)}/revisions`, { signal }).then((answer) => answer?.items ?? null),
  history: (name: string, signal?: AbortSignal) => callIfThere<{ items: StateChange[] }>(`/firehoses/${at(name)}/history`, { signal }).then((answer) => answer?.items ?? null),
}

export const sinks = {
  kinds: (signal?: AbortSignal) => call<{ items: SinkDescription[] } | SinkDescription[]>('/sinks', { signal }).then((answer) => (Array.isArray(answer) ? answer : answer.items)),
}
