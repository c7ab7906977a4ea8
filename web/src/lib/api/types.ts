// The wire forms, as the server writes them.

export interface Metadata {
  name: string
  group: string
  labels: Record<string, string>
  generation: number
  created: string
  updated: string
  createdBy?: string
  updatedBy?: string
  updatedFrom?: string
}

export interface Resource<Kind extends string, Spec, Status> {
  apiVersion: string
  kind: Kind
  metadata: Metadata
  spec: Spec
  status: Status
}

export type DaggerState =
  | 'deploying' | 'running' | 'degraded' | 'paused' | 'failing' | 'suspended' | 'stopping' | 'stopped' | 'failed'

export interface StreamSpec {
  table: string
  schema: string | null
  topics: string[]
  consumerGroup: string
  timestamp: string
  watermark: { delay: string; interval: string; idle: string }
  startFrom: string
  onBadRecord: 'deadLetter' | 'skip' | 'fail'
  late: 'drop' | 'keep'
}

export interface SinkSpec {
  kind: string
  measurement?: string
  retention?: string
  topic?: string
  schema?: string
  partitions?: number
  key?: string[]
}

export interface DaggerSpec {
  cluster: string
  streams: StreamSpec[]
  sql: string
  sinks: SinkSpec[]
  parallelism: number
  checkpoint: { interval: string }
  state: 'running' | 'suspended'
}

export interface Ledger {
  consumed: number
  delivered: number
  filtered: number
  late: number
  dead_lettered: number
  held: number
  late_after_idle: number
  late_windows: number
  unknown_enums: number
}

export interface PartitionStatus {
  table: string
  topic: string
  partition: number
  nextOffset: number
  lag: number
  watermark: string | null
  ledger: Ledger
}

export interface SinkStatus {
  kind: string
  measurement?: string
  topic?: string
  rows: number
  refused: number
  lastRefusal: string | null
}

export interface DaggerStatus {
  state: DaggerState
  since: string
  problem: string | null
  lastError: string | null
  lastErrorAt: string | null
  failures: number
  recordsPerSecond: number
  lag: number
  watermark: string | null
  rows: number
  ledger: Ledger
  checkpoint: { epoch: number; at: string | null }
  sinks: SinkStatus[]
  partitions: PartitionStatus[]
}

export type Dagger = Resource<'Dagger', DaggerSpec, DaggerStatus>

/** A dagger as somebody writes it: what is left out gets its default from the server. */
export interface DaggerDraft {
  apiVersion: 'millrace/v1'
  kind: 'Dagger'
  metadata: { name: string; group?: string; labels?: Record<string, string> }
  spec: {
    streams: { schema?: string; topics: string[]; table?: string; [more: string]: unknown }[]
    sql: string
    sinks?: SinkSpec[]
    cluster?: string
    parallelism?: number
    checkpoint?: { interval: string }
    state?: 'running' | 'suspended'
  }
}

export interface Preview {
  plan: string
  warnings: string[]
  ledger: Ledger
  truncated: boolean
  rows: Row[]
}

export type Cell = string | number | boolean | null | Cell[] | { [key: string]: Cell }
export type Row = Record<string, Cell>

export interface Column {
  name: string
  type: string
  comment?: string
  children?: Column[]
}

export interface QueryResult {
  columns: Column[]
  rows: Row[]
}

export interface Validation {
  ok: boolean
  columns: Column[]
  sentence: string
  warnings: { message: string }[]
  errors: ValidationError[]
}

export interface ValidationError {
  message: string
  hint?: string | undefined
  field?: string | undefined
  line?: number | undefined
  column?: number | undefined
  end_line?: number | undefined
  end_column?: number | undefined
}

export interface SqlFunction {
  name: string
  kind: 'scalar' | 'aggregate' | 'table' | 'window'
  signature: string
  description: string
  example?: string
}

export interface TopicStatus {
  records: number
  bytes: number
  partitions: { partition: number; startOffset: number; endOffset: number; bytes: number }[]
}

export interface TopicSpec {
  partitions: number
  schema: string | null
  retention: string
  retentionBytes?: number
  description?: string
}

export type Topic = Resource<'Topic', TopicSpec, TopicStatus>

export interface TopicRecord {
  partition: number
  offset: number
  timestamp: string
  key: string | null
  headers: Record<string, string>
  value?: Cell
  valueBase64?: string
  error?: string
}

export interface SchemaField {
  name: string
  number: number
  type: string
  label: string
  comment?: string
  message?: string
  oneof?: string
  enumValues?: string[]
  deprecated?: boolean
}

export interface Schema {
  kind: 'Schema'
  metadata: { name: string }
  spec: { file: string; comment: string | null; fields: SchemaField[] }
}

export interface DeadLetter {
  id: string
  dagger: string
  stream: string
  topic: string
  partition: number
  offset: number
  kind: string
  error: string
  errorByte: number | null
  timestamp: string
  eventTime: string | null
  firstSeen: string
  bytes: number
  state: string
  replays: number
  key?: string | null
  headers?: Record<string, string>
  valueBase64?: string | null
  schema?: string | null
  decoded?: string
}

export interface Session {
  user: { name: string; displayName: string; admin: boolean } | null
  via: string | null
  setupNeeded: boolean
  login: { local: boolean; oidc: { name: string; label: string; url: string }[] }
  groups: { name: string; role: Role }[]
  /** For each permission the groups where it holds; `null` is everywhere. */
  permissions: Partial<Record<Permission, string[] | null>>
}

export const ROLES = ['viewer', 'editor', 'admin'] as const
export type Role = (typeof ROLES)[number]

export const PERMISSIONS = [
  'find:resources', 'read:records', 'write:records', 'write:daggers', 'write:topics', 'write:schemas', 'replay:dead-letters', 'write:secrets', 'write:members', 'read:audit', 'write:platform',
] as const
export type Permission = (typeof PERMISSIONS)[number]

export type Group = Resource<'Group', { description: string | null; openRecords: boolean }, { members: number; resources: number }>

export interface Member {
  user: string
  role: Role
  since?: string
}

export interface Person {
  name: string
  displayName: string
  admin: boolean
  hasPassword: boolean
  created: string
}

export interface Token {
  id: string
  name: string
  scopes: Permission[] | null
  created: string
  expires: string | null
  lastUsed: string | null
}

export interface Secret {
  name: string
  group: string
  updated: string
  updatedBy: string | null
}

export interface AuditEntry {
  id: number
  at: string
  actor: string
  via: string | null
  action: string
  kind: string
  name: string
  group: string | null
  before: Cell
  after: Cell
}

export type DaggerCluster = Resource<
  'DaggerCluster',
  /** Without `cores` it shares those of the server; without `memory` there is no limit of its own. */
  { engine: string; cores?: number | null; memory?: string | null; daggersMax: number; groups: string[] },
  { daggers: string[]; running: number; cores?: number; stateBytes?: number }
>

export interface Revision {
  generation: number
  at: string
  by: string | null
  from?: string
  spec: DaggerSpec
}

export interface StateChange {
  at: string
  state: DaggerState
  reason: string | null
  generation: number
}

export interface Applied {
  change: 'created' | 'updated' | 'unchanged'
  warnings: (string | { message: string })[]
  resource: Dagger
}

/** What a draft would change, as the server judges it before anything is done. */
export interface DaggerDiff {
  change: string
  sqlChanged: boolean
  columns: { added: Column[]; removed: Column[]; changed: { name: string; from: string; to: string }[] }
  settings: { path: string; from: Cell; to: Cell }[]
  state: { verdict: 'none' | 'kept' | 'lost'; kept: string[]; lost: string[]; reason: string | null }
  warnings: (string | { message: string })[]
}
