// The wire forms of firehoses, and of the kinds of sinks that they write to.
import type { Cell, Metadata, Row } from './types'

export type FirehoseState = 'starting' | 'running' | 'retrying' | 'paused' | 'stopped' | 'failed'

export const SETTING_TYPES = ['text', 'url', 'boolean', 'integer', 'duration', 'choice', 'secret', 'columns', 'template', 'templates', 'texts', 'secrets'] as const
export type SettingType = (typeof SETTING_TYPES)[number]

/** One thing that can be said of a sink. */
export interface SinkSetting {
  key: string
  title: string
  help: string
  type: SettingType
  need: 'required' | 'optional' | 'default'
  default?: Cell
  choices?: string[] | null
  min?: number | null
  max?: number | null
  /** Only of use while another setting has one of these values. */
  onlyWith?: { key: string; values: string[] } | null
}

export interface SinkDescription {
  kind: string
  title: string
  what: string
  settings: SinkSetting[]
}

export interface ColumnDocument {
  field?: string
  constant?: Cell
  expression?: string
  /** Of an expression, where it does not follow from it. */
  type?: string
  hash?: string
  secret?: string
  as?: string
}

export const ERROR_CLASSES = ['badRecord', 'refused', 'down', 'throttled', 'auth', 'ours'] as const
export type ErrorClass = (typeof ERROR_CLASSES)[number]
export type Route = 'deadLetter' | 'retry' | 'fail'

export interface DeliveryDocument {
  batchRecords?: number
  batchBytes?: string | number
  linger?: string
  parallelism?: number
  recordsPerSecond?: number
  callsPerSecond?: number
  retry?: { first?: string; longest?: string }
  onError?: Partial<Record<ErrorClass, Route>>
  breakAfter?: number
}

export interface FirehoseSpec {
  topic: string
  startFrom?: string
  stopAt?: string
  state?: 'running' | 'paused'
  filter?: string
  jsonSchema?: Cell
  timeWindow?: { field: string; past?: string; future?: string }
  columns?: ColumnDocument[]
  sink: { kind: string } & { [key: string]: Cell }
  delivery?: DeliveryDocument
  deadLetters?: { topic: string }
}

export interface FirehoseLedger {
  consumed: number
  delivered: number
  filtered: number
  late: number
  deadLettered: number
  held: number
}

export interface FirehosePartition {
  partition: number
  position: number
  end: number
  lag: number
  ledger: FirehoseLedger
  /** Records that were gone before they were read. */
  lostUnread?: number
}

export interface FirehoseSinkStatus {
  description: string
  /** `exactlyOnce`, `overwrites` or `atLeastOnce`. */
  guarantee: string
  guaranteeWhy?: string | null
  problem?: string | null
  notice?: string | null
}

export interface FirehoseStatus {
  state: FirehoseState
  since: string
  message?: string | null
  lastError?: string | null
  failures?: number | null
  /** The sink has failed so often that one call at a time is tried. */
  isBrokenOpen?: boolean | null
  lag: number
  recordsPerSecond: number
  latency?: { p50Millis: number; p99Millis: number } | null
  ledger: FirehoseLedger
  partitions: FirehosePartition[]
  sink?: FirehoseSinkStatus | null
}

export interface Firehose {
  apiVersion: string
  kind: 'Firehose'
  metadata: Metadata
  spec: FirehoseSpec
  status: FirehoseStatus
}

/** As somebody writes it: what is left out gets its default from the server. */
export interface FirehoseDraft {
  apiVersion: 'millrace/v1'
  kind: 'Firehose'
  metadata: { name: string; group?: string; labels?: Record<string, string> }
  spec: FirehoseSpec
}

/** What is wrong, and at which place of the document: `filter`, `columns[2].expression`, `sink.url`. */
export interface PlacedProblem {
  place: string
  detail: string
  hint?: string | null
}

export interface FirehoseValidation {
  problems: PlacedProblem[]
  /** Of the rows that are written. */
  columns?: { name: string; type: string }[] | null
  guarantee?: string | null
}

export interface TriedRecord {
  partition: number
  offset: number
  timestamp: string
  value: Cell
  outcome: 'kept' | 'filtered' | 'failed'
  /** Why it was not kept. */
  reason?: string | null
  row?: Row | null
  /** What would be sent of it, as text. */
  sent?: string | null
}

export interface FirehosePreview {
  records: TriedRecord[]
}

export interface SentRecord {
  sent: string
  answer: string
  isDelivered: boolean
  tookMillis: number
}

export type SeekTarget = { to: 'earliest' | 'latest' } | { to: { time: string } } | { to: { offsets: Record<string, number> } }
