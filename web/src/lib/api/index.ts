// Every question to the server, by what it is about.
import type { Dashboard } from '../grafana'
import { at, call, callIfThere, Problem, search } from './client'
import { readRecords, readRate } from './records'
import type {
  Applied, AuditPage, AuditQuery, Cell, ClusterTopicSummary, ConnectionTest, Dagger, DaggerCluster, DaggerDiff, DaggerDraft, DeadLetter, DeadLetterQuery, Group, Invited, KafkaCluster, ListQuery, Member, NewToken, OnKafka, Page, Permission, Person, Preview, Published, QueryResult, Revision, Role, Schema, Secret, Session, SqlFunction, StateChange, Token, Topic, Validation,
} from './types'

export * from './types'
export * from './firehoses'
export * from './records'
export { isAbort, isMissing, Problem, toProblem } from './client'


/** An order made by a button: it carries a key, so that it is done once even when it is sent twice. */
const press = <T>(path: string, body?: unknown, more: object = {}) => call<T>(path, { method: 'POST', body, isPress: true, ...more })

export const daggers = {
  list: (query: ListQuery, signal?: AbortSignal) => call<Page<Dagger>>(`/daggers${search(query)}`, { signal }),
  get: (name: string, signal?: AbortSignal) => call<Dagger>(`/daggers/${at(name)}`, { signal }),
  /** With a generation, only when nobody has changed the dagger since. */
  apply: (draft: DaggerDraft, ifMatch?: number) => press<Applied>('/daggers', draft, { ifMatch }),
  diff: (draft: DaggerDraft, signal?: AbortSignal) => callIfThere<DaggerDiff>(`/daggers/${at(draft.metadata.name)}/diff`, { method: 'POST', body: draft, signal }),
  /** `acceptLoss` decides from where it goes on when records are gone that it has not read. */
  start: (name: string, acceptLoss?: 'earliest' | 'latest') => press<Dagger>(`/daggers/${at(name)}/start${search({ acceptLoss })}`),
  stop: (name: string) => press<Dagger>(`/daggers/${at(name)}/stop`),
  publish: (name: string, sink: { topic: string; schema?: string; key?: string[]; partitions?: number } & OnKafka) => press<Applied>(`/daggers/${at(name)}/publish`, sink),
  fork: (name: string, into: { name: string; group: string }) => press<Applied>(`/daggers/${at(name)}/fork`, into),
  remove: (name: string) => call<void>(`/daggers/${at(name)}`, { method: 'DELETE' }),
  preview: (draft: DaggerDraft, signal?: AbortSignal) => call<Preview>('/daggers/preview', { method: 'POST', body: draft, signal }),
  validate: (draft: DaggerDraft, signal?: AbortSignal) => call<Validation>('/daggers/validate', { method: 'POST', body: draft, signal }),
  revisions: (name: string, signal?: AbortSignal) =>
    callIfThere<{ items: Revision[] } | Revision[]>(`/daggers/${at(name)}/revisions`, { signal }).then(items),
  rollback: (name: string, generation: number, ifMatch: number) => press<Applied>(`/daggers/${at(name)}/rollback`, { generation }, { ifMatch }),
  /** The dashboard that Grafana shows of it; `null` from a server that makes none, and of a dagger that has none. */
  grafana: (name: string, signal?: AbortSignal) =>
    callIfThere<Dashboard>(`/daggers/${at(name)}/grafana`, { signal }).catch((error: unknown) => {
      if (error instanceof Problem && error.status === 409) return null
      throw error
    }),
  history: (name: string, signal?: AbortSignal) =>
    callIfThere<{ items: StateChange[] } | StateChange[]>(`/daggers/${at(name)}/history`, { signal }).then(items),
}

/** Lists come bare or under `items`; a server without them gives `null`. */
function items<T>(answer: { items: T[] } | T[] | null): T[] | null {
  return answer === null || Array.isArray(answer) ? answer : answer.items
}

export const topics = {
  list: (query: ListQuery, signal?: AbortSignal) => call<Page<Topic>>(`/topics${search(query)}`, { signal }),
  get: (name: string, signal?: AbortSignal) => call<Topic>(`/topics/${at(name)}`, { signal }),
  create: (topic: object) => press<Topic>('/topics', topic),
  remove: (name: string) => call<void>(`/topics/${at(name)}`, { method: 'DELETE' }),
  records: readRecords,
  rate: readRate,
  publish: (name: string, record: object) => press<Published>(`/topics/${at(name)}/records`, record, { answersWith: 422 }),
}

export const schemas = {
  list: (query: ListQuery = {}, signal?: AbortSignal) => call<Page<Schema>>(`/schemas${search(query)}`, { signal }),
  get: (name: string, signal?: AbortSignal) => call<Schema>(`/schemas/${at(name)}`, { signal }),
  push: (files: { path: string; text: string }[]) => press<Page<Schema>>('/schemas', { files }),
  pushDescriptorSet: (descriptorSet: string) => press<Page<Schema>>('/schemas', { descriptorSet }),
}

export const deadLetters = {
  list: (query: DeadLetterQuery, signal?: AbortSignal) =>
    call<{ items: DeadLetter[]; next: string | null }>(`/dead-letters${search(query)}`, { signal }),
  get: (id: string, signal?: AbortSignal) => call<DeadLetter>(`/dead-letters/${at(id)}`, { signal }),
  replay: (what: { id?: string; dagger?: string; firehose?: string; topic?: string; kind?: string; /** With an id: the record as somebody has mended it. */ value?: Cell; valueBase64?: string }) =>
    press<{ replayed: number }>('/dead-letters/replay', what),
}

export const sql = {
  query: (text: string, signal?: AbortSignal) => call<QueryResult>('/sql', { method: 'POST', body: { sql: text }, signal }),
  functions: (signal?: AbortSignal) => callIfThere<SqlFunction[] | { items: SqlFunction[] }>('/sql/functions', { signal }).then(items),
}

export const session = {
  get: () => callIfThere<Session>('/session'),
  login: (name: string, password: string) => call<void>('/session', { method: 'POST', body: { name, password }, isLogin: true }),
  logout: () => call<void>('/session', { method: 'DELETE', isLogin: true }),
  accept: (invitation: string, password: string) => call<void>('/session/invitation', { method: 'POST', body: { invitation, password }, isLogin: true }),
  setPassword: (current: string, next: string) => call<void>('/session/password', { method: 'POST', body: { current, new: next }, isLogin: true }),
}

interface All<T> {
  items: T[]
}

export const groups = {
  list: (signal?: AbortSignal) => call<All<Group>>('/groups', { signal }).then((page) => page.items),
  create: (group: { name: string; description: string; openRecords: boolean }) => press<Group>('/groups', group),
  update: (name: string, group: { description: string; openRecords: boolean }) => call<Group>(`/groups/${at(name)}`, { method: 'PUT', body: group }),
  remove: (name: string) => call<void>(`/groups/${at(name)}`, { method: 'DELETE' }),
  members: (name: string, signal?: AbortSignal) => call<All<Member>>(`/groups/${at(name)}/members`, { signal }).then((page) => page.items),
  /** Also changes the role of somebody who is in it already. */
  put: (name: string, user: string, role: Role) => press<void>(`/groups/${at(name)}/members`, { user, role }),
  dismiss: (name: string, user: string) => call<void>(`/groups/${at(name)}/members/${at(user)}`, { method: 'DELETE' }),
}

export const people = {
  list: (signal?: AbortSignal) => call<All<Person>>('/users', { signal }).then((page) => page.items),
  create: (person: { name: string; displayName?: string; admin?: boolean }) => press<Invited>('/users', person),
  invite: (name: string) => press<Invited>(`/users/${at(name)}/invitation`),
  setAdmin: (name: string, platformAdmin: boolean) => call<void>(`/users/${at(name)}`, { method: 'PUT', body: { platformAdmin } }),
  remove: (name: string) => call<void>(`/users/${at(name)}`, { method: 'DELETE' }),
}

export const tokens = {
  list: (signal?: AbortSignal) => call<All<Token>>('/tokens', { signal }).then((page) => page.items),
  create: (token: { name: string; scopes?: Permission[]; expiresIn?: string }) => press<NewToken>('/tokens', token),
  remove: (id: string) => call<void>(`/tokens/${at(id)}`, { method: 'DELETE' }),
}

export const secrets = {
  list: (signal?: AbortSignal) => call<All<Secret>>('/secrets', { signal }).then((page) => page.items),
  put: (name: string, value: string, group: string) => call<void>(`/secrets/${at(name)}`, { method: 'PUT', body: { value, ...(group ? { group } : {}) } }),
  remove: (name: string) => call<void>(`/secrets/${at(name)}`, { method: 'DELETE' }),
}

export const audit = {
  list: (query: AuditQuery, signal?: AbortSignal) => call<AuditPage>(`/audit${search(query)}`, { signal }),
}

export const clusters = {
  /** `null` from a server that has no clusters. */
  list: (signal?: AbortSignal) => callIfThere<All<DaggerCluster>>('/dagger-clusters', { signal }).then((page) => page?.items ?? null),
  apply: (cluster: { name: string; cores?: number; memory?: string; daggersMax: number; groups: string[] }, ifMatch?: number) => {
    const { name, ...spec } = cluster
    return press<unknown>('/dagger-clusters', { apiVersion: 'millrace/v1', kind: 'DaggerCluster', metadata: { name }, spec: { engine: 'embedded', ...spec } }, { ifMatch })
  },
  remove: (name: string) => call<void>(`/dagger-clusters/${at(name)}`, { method: 'DELETE' }),
}

export const kafkaClusters = {
  /** `null` from a server that does not tell them. */
  list: (signal?: AbortSignal) => callIfThere<Page<KafkaCluster>>('/kafka-clusters', { signal }).then((page) => page?.items ?? null),
  topics: (name: string, query: { search?: string; limit?: number; offset?: number; sort?: string }, signal?: AbortSignal) => call<Page<ClusterTopicSummary>>(`/kafka-clusters/${at(name)}/topics${search(query)}`, { signal }),
  apply: (document: object) => press<unknown>('/apply', document),
  /** Tries a document that is not saved. */
  tryOut: (document: object, signal?: AbortSignal) => call<ConnectionTest>('/kafka-clusters/test', { method: 'POST', body: document, signal }),
  test: (name: string, signal?: AbortSignal) => call<ConnectionTest>(`/kafka-clusters/${at(name)}/test`, { method: 'POST', signal }),
  remove: (name: string) => call<void>(`/kafka-clusters/${at(name)}`, { method: 'DELETE' }),
}

export const server = {
  version: (signal?: AbortSignal) => callIfThere<{ version: string }>('/version', { signal }).then((answer) => answer?.version ?? null),
}
