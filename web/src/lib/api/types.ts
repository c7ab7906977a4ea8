// The wire forms, by the names that the portal gives them. What they hold comes from the server's own document
// (openapi.d.ts, made by `npm run types`); written here is only what the document does not say.
import type { components, operations } from './openapi'

type Schemas = components['schemas']

/**
 * A form of the document with some members told more exactly. What is told must fit what the document says, so a member
 * that the server renames or changes does not compile here.
 */
type Exact<T, More extends { [K in keyof More]: K extends keyof T ? T[K] : never }> = Omit<T, keyof More> & More

/** Members that may be left out of what is sent, and that an answer always has. */
type Filled<T, K extends keyof T> = Omit<T, K> & { [Key in K]-?: NonNullable<T[Key]> }

/** The portal makes some itself, without a title. */
export type ProblemDocument = Omit<Schemas['Problem'], 'title'>

export type ListQuery = NonNullable<operations['getDaggers']['parameters']['query']>
export type DeadLetterQuery = NonNullable<operations['getDeadLetters']['parameters']['query']>
export type AuditQuery = NonNullable<operations['getAudit']['parameters']['query']>
export type RecordsQuery = NonNullable<operations['getTopicsNameRecords']['parameters']['query']>
export type TopicRate = Schemas['RecordRate']

export interface Page<T> {
  items: T[]
  total?: number | null
  facets?: Schemas['Facets'] | null
}

export type Metadata = Filled<Schemas['Metadata'], 'group' | 'labels' | 'generation' | 'created' | 'updated'>

interface Known<Spec, Status> { metadata: Metadata; spec: Spec; status: Status }

export type DaggerState =
  | 'deploying' | 'running' | 'degraded' | 'paused' | 'failing' | 'suspended' | 'stopping' | 'stopped' | 'failed'

export type SinkSpec = Schemas['SinkSpec']
/** Where a sink's topic is, and how its records get there. */
export type OnKafka = Pick<SinkSpec, 'cluster' | 'delivery' | 'compression'>
export type StreamSpec = Exact<Filled<Schemas['StreamSpec'], 'table' | 'consumerGroup' | 'timestamp' | 'startFrom'>, { onBadRecord: 'deadLetter' | 'skip' | 'fail'; late: 'drop' | 'keep'; watermark: Filled<Schemas['WatermarkSpec'], 'delay' | 'interval' | 'idle'> }>
export type DaggerSpec = Exact<Filled<Schemas['DaggerSpec'], 'cluster' | 'sinks' | 'parallelism'>, { streams: StreamSpec[]; checkpoint: Filled<Schemas['CheckpointSpec'], 'interval'>; state: 'running' | 'suspended' }>

export type Ledger = Schemas['Ledger']
export type PartitionStatus = Schemas['PartitionStatus']
export type SinkStatus = Schemas['SinkStatus']
export type DaggerStatus = Exact<
  Filled<Schemas['DaggerStatus'], 'since' | 'failures' | 'recordsPerSecond' | 'lag' | 'rows' | 'ledger' | 'checkpoint' | 'sinks' | 'partitions'>,
  { state: DaggerState }
>
export type Dagger = Exact<Schemas['Dagger'], Known<DaggerSpec, DaggerStatus>>
/** A dagger as somebody writes it: what is left out gets its default from the server. */
export type DaggerDraft = Omit<Schemas['Dagger'], 'status'>

/** A value of a record or of a result, whose type is the query's or the schema's. */
export type Cell = string | number | boolean | null | Cell[] | { [key: string]: Cell }
export type Row = Record<string, Cell>
export type Column = Schemas['Column']
export type Preview = Exact<Schemas['Preview'], { rows: Row[] }>
export type TagSample = Schemas['TagSample']
export type QueryResult = Exact<Schemas['QueryResult'], { rows: Row[] }>
export type Validation = Schemas['Validation']
/** Explore makes some itself, of a problem. */
export type QueryError = Omit<Schemas['QueryError'], 'code'>

export type SqlFunction = Exact<Schemas['SqlFunction'], { kind: 'scalar' | 'aggregate' | 'table' | 'window' }>

export type Topic = Exact<Schemas['Topic'], Known<Filled<Schemas['TopicSpec'], 'partitions' | 'retention'>, Schemas['TopicStatus']>>
export type Published = Schemas['Published']

/** Lines of a stream are not in the document. */
export interface TopicRecord {
  partition: number
  offset: number
  timestamp: string
  /** Text, or what the topic's key schema makes of it. */
  key: Cell
  keyError?: string
  headers: Record<string, string>
  value?: Cell
  valueBase64?: string
  error?: string
}

export type SchemaField = Schemas['SchemaField']
export type Schema = Schemas['Schema']

export type DeadLetter = Schemas['DeadLetter']

export const ROLES = ['viewer', 'editor', 'admin'] as const
export type Role = (typeof ROLES)[number]

export const PERMISSIONS = [
  'find:resources', 'read:records', 'write:records', 'write:daggers', 'write:topics', 'write:schemas', 'replay:dead-letters', 'write:secrets', 'write:members', 'read:audit', 'write:platform',
] as const
export type Permission = (typeof PERMISSIONS)[number]

export type Session = Exact<Schemas['Session'], { groups: { name: string; role: Role }[]; permissions: { [P in Permission]?: string[] | null } }>
export type Group = Exact<Schemas['Group'], Known<Filled<Schemas['GroupSpec'], 'openRecords'>, Schemas['GroupStatus']>>
export type Member = Exact<Schemas['Member'], { role: Role }>
export type Person = Schemas['User']
export type Invited = Schemas['Invited']
export type Token = Exact<Schemas['Token'], { scopes?: Permission[] | null }>
export type NewToken = Exact<Schemas['NewToken'], { token: Token }>
export type Secret = Schemas['Secret']
export type AuditEntry = Exact<Schemas['AuditEntry'], { before: Cell; after: Cell }>
export type AuditPage = Exact<Schemas['AuditPage'], { items: AuditEntry[] }>

export type DaggerCluster = Exact<Schemas['DaggerCluster'], Known<Filled<Schemas['ClusterSpec'], 'engine' | 'daggersMax' | 'groups'>, Schemas['ClusterStatus']>>

export type KafkaClusterState = 'running' | 'unreachable' | 'misconfigured' | 'unknown'
export type KafkaCluster = Exact<Schemas['KafkaCluster'], Known<Schemas['KafkaClusterSpec'], Exact<Schemas['KafkaClusterStatus'], { state: KafkaClusterState }>>>
export type ClusterTopicSummary = Schemas['ClusterTopicSummary']
/** The steps of a connection, in the order in which they are tried. */
export type ConnectionTest = Exact<Schemas['ConnectionTest'], { steps: ConnectionStep[] }>
export type ConnectionStep = Exact<Schemas['ConnectionStep'], { outcome: 'passed' | 'failed' | 'notReached' }>

export type Revision = Exact<Schemas['Revision'], { spec?: DaggerSpec | null }>
export type StateChange = Exact<Schemas['State'], { state: DaggerState }>
export type Applied = Exact<Schemas['AppliedDagger'], { resource: Dagger }>
/** What a draft would change, as the server judges it before anything is done. */
export type DaggerDiff = Exact<Schemas['DaggerDiff'], { settings: { path: string; from: Cell; to: Cell }[]; state: Exact<Schemas['StateVerdict'], { verdict: 'none' | 'kept' | 'lost' }> }>
