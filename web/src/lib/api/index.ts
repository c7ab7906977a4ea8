// Every question to the server, by what it is about.
import { call, callIfThere, lines, Problem } from './client'
import type {
  Dagger, DaggerDraft, DaggerState, DeadLetter, Preview, QueryResult, Row, Schema, Session, SqlFunction, Topic, TopicRecord, Validation,
} from './types'

export * from './types'
export { isAbort, isMissing, Problem, toProblem } from './client'

export interface ListQuery {
  search?: string
  group?: string
  state?: string
  sort?: string
  limit?: number
  offset?: number
}

/** `total` is missing from a server that does not page: then everything was sent. */
export interface Page<T> {
  items: T[]
  total?: number
}

function search(query: object): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== '' && value !== null) params.set(key, String(value))
  const text = params.toString()
  return text ? `?${text}` : ''
}

const at = (name: string) => encodeURIComponent(name)

export const daggers = {
  list: (query: ListQuery, signal?: AbortSignal) => call<Page<Dagger>>(`/daggers${search(query)}`, { signal }),
  get: (name: string, signal?: AbortSignal) => call<Dagger>(`/daggers/${at(name)}`, { signal }),
  apply: (draft: DaggerDraft) =>
    call<{ change: string; warnings: string[]; resource: Dagger }>('/daggers', { method: 'POST', body: draft }),
  applyYaml: (yaml: string) =>
    call<{ items: { change: string }[] }>('/apply', { method: 'POST', body: yaml, type: 'application/yaml' }),
  start: (name: string) => call<Dagger>(`/daggers/${at(name)}/start`, { method: 'POST' }),
  stop: (name: string) => call<Dagger>(`/daggers/${at(name)}/stop`, { method: 'POST' }),
  remove: (name: string) => call<void>(`/daggers/${at(name)}`, { method: 'DELETE' }),
  preview: (draft: DaggerDraft, signal?: AbortSignal) => call<Preview>('/daggers/preview', { method: 'POST', body: draft, signal }),
  validate,
  revisions: (name: string, signal?: AbortSignal) =>
    callIfThere<{ items: Revision[] } | Revision[]>(`/daggers/${at(name)}/revisions`, { signal }).then(items),
  rollback: (name: string, generation: number) =>
    call<Dagger>(`/daggers/${at(name)}/rollback`, { method: 'POST', body: { generation } }),
  history: (name: string, signal?: AbortSignal) =>
    callIfThere<{ items: StateChange[] } | StateChange[]>(`/daggers/${at(name)}/history`, { signal }).then(items),
}

export interface Revision {
  generation: number
  at: string
  by: string | null
  spec_yaml: string
}

export interface StateChange {
  at: string
  state: DaggerState
  reason: string | null
}

/** Lists come bare or under `items`; a server without them gives `null`. */
function items<T>(answer: { items: T[] } | T[] | null): T[] | null {
  return answer === null || Array.isArray(answer) ? answer : answer.items
}

let canValidate = true

/** A preview costs more than a check, so it is asked for less often. */
export const validateDelay = () => (canValidate ? 150 : 500)

/** Asks the server to judge a dagger. One that cannot yet is asked for a preview, whose errors are the same. */
async function validate(draft: DaggerDraft, signal: AbortSignal): Promise<Validation> {
  if (canValidate) {
    try {
      return await call<Validation>('/daggers/validate', { method: 'POST', body: draft, signal })
    } catch (error) {
      // Before the route exists, `validate` is taken for a dagger's name or for nothing at all.
      if (!(error instanceof Problem) || ![404, 405].includes(error.status)) throw error
      canValidate = false
    }
  }
  try {
    const preview = await daggers.preview(draft, signal)
    const columns = Object.entries(preview.rows[0] ?? {}).map(([name, value]) => ({ name, type: typeof value }))
    return { ok: true, columns, sentence: '', warnings: [], errors: [] }
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 422) throw error
    const message = error.detail.replace(/^line \d+, column \d+: /, '')
    return { ok: false, columns: [], sentence: '', warnings: [], errors: [{ message, hint: error.hint, line: error.line, column: error.column }] }
  }
}

export const topics = {
  list: (query: ListQuery, signal?: AbortSignal) => call<Page<Topic>>(`/topics${search(query)}`, { signal }),
  get: (name: string, signal?: AbortSignal) => call<Topic>(`/topics/${at(name)}`, { signal }),
  create: (topic: object) => call<Topic>('/topics', { method: 'POST', body: topic }),
  remove: (name: string) => call<void>(`/topics/${at(name)}`, { method: 'DELETE' }),
  records: (name: string, query: { from?: string; limit?: number; follow?: boolean; partition?: number; offset?: number }, signal: AbortSignal) =>
    lines<TopicRecord>(`/topics/${at(name)}/records${search(query)}`, signal),
  publish: (name: string, record: object) =>
    call<{ acknowledged: number; refused: number; records: { partition?: number; offset?: number; error?: { detail: string; hint?: string } }[] }>(
      `/topics/${at(name)}/records`, { method: 'POST', body: record, answersWith: 422 }),
}

export const schemas = {
  list: (query: ListQuery = {}, signal?: AbortSignal) => call<Page<Schema>>(`/schemas${search(query)}`, { signal }),
  get: (name: string, signal?: AbortSignal) => call<Schema>(`/schemas/${at(name)}`, { signal }),
  push: (files: { path: string; text: string }[]) => call<Page<Schema>>('/schemas', { method: 'POST', body: { files } }),
  pushDescriptorSet: (descriptorSet: string) => call<Page<Schema>>('/schemas', { method: 'POST', body: { descriptorSet } }),
}

export const deadLetters = {
  list: (query: { dagger?: string; topic?: string; kind?: string; state?: string; limit?: number; after?: string }, signal?: AbortSignal) =>
    call<{ items: DeadLetter[]; next: string | null }>(`/dead-letters${search(query)}`, { signal }),
  get: (id: string, signal?: AbortSignal) => call<DeadLetter>(`/dead-letters/${at(id)}`, { signal }),
  replay: (what: { id?: string; dagger?: string; topic?: string; kind?: string }) =>
    call<{ replayed: number }>('/dead-letters/replay', { method: 'POST', body: what }),
}

export const sql = {
  query: (text: string, signal?: AbortSignal) => call<QueryResult>('/sql', { method: 'POST', body: { sql: text }, signal }),
  functions: (signal?: AbortSignal) => callIfThere<SqlFunction[] | { items: SqlFunction[] }>('/sql/functions', { signal }).then(items),
}

export const session = {
  get: () => callIfThere<Session>('/session'),
  login: (name: string, password: string) => call<void>('/session', { method: 'POST', body: { name, password } }),
  logout: () => call<void>('/session', { method: 'DELETE' }),
}

/** Lists behind Settings, each shown only where the server has it. */
export const settings = {
  list: (kind: string, signal?: AbortSignal) => callIfThere<Page<Row> | Row[]>(`/${kind}`, { signal }).then(items),
  add: (kind: string, body: object) => call<Row>(`/${kind}`, { method: 'POST', body }),
  remove: (kind: string, name: string) => call<void>(`/${kind}/${at(name)}`, { method: 'DELETE' }),
}
