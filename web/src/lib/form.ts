// What the form of a dagger holds, and how it becomes the document that the server takes.
import { emptySink, sinkDraftOf, sinkOf, type SinkDraft } from './sink-form'
import type { Column, Dagger, DaggerDraft, Schema, SchemaField, Topic } from './api'

export interface StreamDraft {
  id: number
  schema: string
  topics: string[]
  table: string
  timestamp: string
  consumerGroup: string
  delay: string
  interval: string
  idle: string
  startFrom: string
  onBadRecord: string
  late: string
}

export interface FormState {
  name: string
  group: string
  labels: Record<string, string>
  streams: StreamDraft[]
  sql: string
  sinks: SinkDraft[]
  cluster: string
  parallelism: string
  checkpoint: string
}

// A kept draft has ids of an earlier visit.
let nextId = Date.now()
export const emptyStream = (): StreamDraft => ({ id: nextId++, schema: '', topics: [], table: '', timestamp: '', consumerGroup: '', delay: '', interval: '', idle: '', startFrom: '', onBadRecord: '', late: '' })

export const emptyForm = (): FormState => ({
  name: '', group: '', labels: {}, streams: [emptyStream()], sql: '', sinks: [emptySink()], cluster: '', parallelism: '', checkpoint: '',
})

export function formOf(dagger: Dagger, name: string): FormState {
  const { spec, metadata } = dagger
  const isClone = name !== metadata.name
  // A clone writes a measurement and reads with a consumer group of its own, and leaves the servers of the original alone.
  const own = spec.sinks.find((sink) => sink.kind === 'series' || sink.kind === 'topic' || sink.kind === 'log')
  const sinks = !isClone ? spec.sinks.map(sinkDraftOf) : own ? [{ ...sinkDraftOf(own), measurement: '', topic: '' }] : [emptySink()]
  return {
    ...emptyForm(), name, group: metadata.group, labels: { ...metadata.labels }, sql: spec.sql, sinks, cluster: spec.cluster, parallelism: String(spec.parallelism), checkpoint: spec.checkpoint.interval,
    streams: spec.streams.map((stream) => ({
      id: nextId++, schema: stream.schema ?? '', topics: stream.topics, table: stream.table, timestamp: stream.timestamp, consumerGroup: isClone ? '' : stream.consumerGroup, delay: stream.watermark.delay, interval: stream.watermark.interval, idle: stream.watermark.idle, startFrom: stream.startFrom, onBadRecord: stream.onBadRecord, late: stream.late,
    })),
  }
}

/** Empty fields are left out: the server knows the defaults. */
export function toDraft(form: FormState, name = form.name): DaggerDraft {
  const filled = <T extends object>(fields: T): Partial<T> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '' && value !== undefined)) as Partial<T>
  const streams = form.streams.map(({ schema, topics, table, timestamp, consumerGroup, startFrom, onBadRecord, late, delay, interval, idle }) => {
    const watermark = filled({ delay, interval, idle })
    return { topics: [...topics], ...filled({ schema, table, timestamp, consumerGroup, startFrom, onBadRecord, late }), ...(Object.keys(watermark).length > 0 ? { watermark } : {}) }
  })
  return {
    apiVersion: 'millrace/v1', kind: 'Dagger',
    metadata: { name, ...(form.group ? { group: form.group } : {}), ...(Object.keys(form.labels).length > 0 ? { labels: { ...form.labels } } : {}) },
    spec: {
      streams, sql: form.sql, sinks: form.sinks.map(sinkOf), ...(form.cluster ? { cluster: form.cluster } : {}), ...(form.parallelism ? { parallelism: Number(form.parallelism) } : {}), ...(form.checkpoint ? { checkpoint: { interval: form.checkpoint } } : {}),
    },
  }
}

export const nameIsGood = (name: string) => /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(name)

/** DriverLocationPing becomes driver_location_ping. */
export const tableOf = (schema: string) => (schema.split('.').pop() ?? '').replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()

export function timeOf(schema: Schema): { field: string; reason: 'event_timestamp' | 'first' | 'record' } {
  const times = timeFields(schema)
  if (times.includes('event_timestamp')) return { field: 'event_timestamp', reason: 'event_timestamp' }
  return times[0] ? { field: times[0], reason: 'first' } : { field: 'record', reason: 'record' }
}

export const timeFields = (schema: Schema) => schema.spec.fields.filter((field) => field.type === 'google.protobuf.Timestamp' && field.label !== 'repeated').map((field) => field.name)

export const topicsFor = (topics: Topic[], schema: string) => topics.filter((topic) => topic.spec.schema === schema)

/** A query that runs at once: how many a minute, by the first field with few values. */
export function starter(schema: Schema, table: string): string {
  const few = schema.spec.fields.find((field) => field.enumValues && field.label !== 'repeated')?.name
  const place = placeOf(schema)
  const keys = [...(place ? [{ as: 'tag_s2id', expression: `S2Id(${place[0]}, ${place[1]}, 13)` }] : []), ...(few ? [{ as: `tag_${few}`, expression: few }] : [])]
  const select = [...keys.map((key) => `${key.expression} AS ${key.as}`), 'count(1) AS records', "TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp"]
  return `SELECT ${select.join(',\n       ')}\nFROM ${table}\nGROUP BY ${["TUMBLE(rowtime, INTERVAL '1' MINUTE)", ...keys.map((key) => key.expression)].join(', ')}\n`
}

export function placeOf(schema: Schema): [string, string] | null {
  const named = (pattern: RegExp) => schema.spec.fields.find((field) => /double|float/.test(field.type) && pattern.test(field.name))?.name
  const [lat, long] = [named(/^lat(itude)?$/), named(/^(long?|lng|longitude)$/)]
  return lat && long ? [lat, long] : null
}

const SQL_TYPES: Record<string, string> = {
  double: 'DOUBLE', float: 'FLOAT', int32: 'INT', sint32: 'INT', sfixed32: 'INT', int64: 'BIGINT', sint64: 'BIGINT', sfixed64: 'BIGINT', uint32: 'BIGINT', fixed32: 'BIGINT', uint64: 'DECIMAL(20,0)', fixed64: 'DECIMAL(20,0)', bool: 'BOOLEAN', string: 'STRING', bytes: 'BYTES', 'google.protobuf.Timestamp': 'TIMESTAMP(6)',
}

/** The fields of a message, with nested ones as far as they are known. */
export function fieldColumns(schema: Schema | undefined, all: Schema[], depth = 0): Column[] {
  return (schema?.spec.fields ?? []).map((field): Column => {
    const inner = field.message && depth < 4 ? all.find((candidate) => candidate.metadata.name === field.message) : undefined
    const comment = [field.comment, field.enumValues?.join(', ')].filter(Boolean).join('\n')
    const children = inner ? fieldColumns(inner, all, depth + 1) : []
    return { name: field.name, type: sqlType(field), ...(comment ? { comment } : {}), ...(children.length > 0 ? { children } : {}) }
  })
}

/** The columns of a table. */
export function columnsOf(schema: Schema | undefined, all: Schema[]): Column[] {
  const columns = fieldColumns(schema, all)
  return schema ? [...columns, { name: 'rowtime', type: 'TIMESTAMP(3)', comment: 'The event time of the stream' }] : columns
}

function sqlType(field: SchemaField): string {
  const type = field.enumValues ? 'STRING' : SQL_TYPES[field.type] ?? (field.type.startsWith('map<') ? 'MAP' : 'ROW')
  return field.label === 'repeated' ? `ARRAY<${type}>` : type
}

export type TemplateName = 'count' | 'hop' | 'session' | 'cells' | 'filter'

export function template(name: TemplateName, schema: Schema | undefined, table: string): string {
  const few = schema?.spec.fields.find((field) => field.enumValues)?.name ?? 'field'
  const [lat, long] = (schema && placeOf(schema)) ?? ['lat', 'long']
  switch (name) {
    case 'count': return `SELECT ${few} AS tag_${few},\n       count(1) AS records,\n       TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp\nFROM ${table}\nGROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), ${few}\n`
    case 'hop': return `SELECT ${few} AS tag_${few},\n       count(1) AS records,\n       HOP_END(rowtime, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE) AS window_timestamp\nFROM ${table}\nGROUP BY HOP(rowtime, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE), ${few}\n`
    case 'session': return `SELECT ${few} AS tag_${few},\n       count(1) AS records,\n       SESSION_END(rowtime, INTERVAL '5' MINUTE) AS window_timestamp\nFROM ${table}\nGROUP BY SESSION(rowtime, INTERVAL '5' MINUTE), ${few}\n`
    case 'cells': return `SELECT S2Id(${lat}, ${long}, 13) AS tag_s2id,\n       count(1) AS records,\n       TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp\nFROM ${table}\nGROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), S2Id(${lat}, ${long}, 13)\n`
    case 'filter': return `SELECT ${few} AS tag_${few},\n       rowtime AS window_timestamp,\n       1 AS one\nFROM ${table}\nWHERE ${few} IS NOT NULL\n`
  }
}
