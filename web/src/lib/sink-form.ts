// The places that a result goes to, as the form of a dagger holds them, and as its document has them.
import { onKafka, sinkPlaceOf, type SinkPlace } from './sink-place'
import type { SinkSpec } from './api'

export const SINK_KINDS = ['series', 'influx', 'victoriaMetrics', 'prometheusRemoteWrite', 'topic', 'log'] as const
export type SinkKind = (typeof SINK_KINDS)[number]
export const INFLUX_VERSIONS = ['1', '2', '3'] as const

/** Empty is what the server does by itself. */
export interface SinkDraft {
  id: number
  /** One of `SINK_KINDS`, or what another version of the server has. */
  kind: string
  measurement: string
  retention: string
  topic: string
  schema: string
  partitions: string
  /** Names of columns with commas, as `tags`. */
  key: string
  place: SinkPlace
  version: string
  url: string
  database: string
  retentionPolicy: string
  org: string
  bucket: string
  tags: string
  username: string
  secret: string
  /** As it is written, for keys that no field shows. */
  written: SinkSpec | null
}

export type SinkField = Exclude<keyof SinkDraft, 'id' | 'kind' | 'place' | 'written'>

// A kept draft has ids of an earlier visit.
let nextId = Date.now()
export const emptySink = (kind: string = 'series'): SinkDraft => ({
  id: nextId++, kind, measurement: '', retention: '', topic: '', schema: '', partitions: '', key: '', place: sinkPlaceOf(), version: '1', url: '', database: '', retentionPolicy: '', org: '', bucket: '', tags: '', username: '', secret: '', written: null,
})

export function sinkDraftOf(sink: SinkSpec): SinkDraft {
  const text = (value: string | number | null | undefined) => (value === null || value === undefined ? '' : String(value))
  return {
    ...emptySink(sink.kind), measurement: text(sink.measurement), retention: text(sink.retention), topic: text(sink.topic), schema: text(sink.schema), partitions: text(sink.partitions), key: sink.key?.join(', ') ?? '', place: sinkPlaceOf(sink),
    version: text(sink.version) || '1', url: text(sink.url), database: text(sink.database), retentionPolicy: text(sink.retentionPolicy), org: text(sink.org), bucket: text(sink.bucket), tags: sink.tags?.join(', ') ?? '', username: text(sink.username), secret: text(sink.secret), written: sink,
  }
}

const OWN: Record<SinkKind, readonly SinkField[]> = {
  series: ['measurement', 'retention'],
  influx: ['url', 'measurement', 'tags', 'secret'],
  victoriaMetrics: ['url', 'measurement', 'tags', 'username', 'secret'],
  prometheusRemoteWrite: ['url', 'measurement', 'tags', 'username', 'secret'],
  topic: ['topic', 'schema', 'partitions', 'key'],
  log: [],
}
const OF_INFLUX: Record<string, readonly SinkField[]> = { 1: ['database', 'retentionPolicy', 'username'], 2: ['org', 'bucket'], 3: ['database'] }

export const isKnown = (kind: string): kind is SinkKind => (SINK_KINDS as readonly string[]).includes(kind)
/** A server of somebody else's. */
export const isExternal = (kind: string) => kind === 'influx' || kind === 'victoriaMetrics' || kind === 'prometheusRemoteWrite'

/** What can be filled in of it. */
export function fieldsOf(sink: Pick<SinkDraft, 'kind' | 'version'>): readonly SinkField[] {
  if (!isKnown(sink.kind)) return []
  return sink.kind === 'influx' ? [...OWN.influx, ...(OF_INFLUX[sink.version] ?? [])] : OWN[sink.kind]
}

const names = (text: string) => text.split(',').map((name) => name.trim()).filter(Boolean)

/** What the fields say, and of the same kind of sink what no field shows. */
export function sinkOf(draft: SinkDraft): SinkSpec {
  if (!isKnown(draft.kind)) return draft.written ?? { kind: draft.kind }
  const sink: SinkSpec = { kind: draft.kind }
  if (draft.kind === 'influx') sink.version = Number(draft.version)
  if (draft.kind === 'topic' && draft.written?.kind === 'topic' && draft.written.headers) sink.headers = draft.written.headers
  for (const field of fieldsOf(draft)) {
    const text = draft[field].trim()
    if (text === '') continue
    if (field === 'partitions') sink.partitions = Number(text)
    else if (field === 'key' || field === 'tags') sink[field] = names(text)
    else if (field !== 'version') sink[field] = text
  }
  return draft.kind === 'topic' ? { ...sink, ...onKafka(draft.place) } : sink
}

/** Fields that the server needs, or needs beside others, and that are empty. */
export function missingIn(draft: SinkDraft): SinkField[] {
  const isEmpty = (field: SinkField) => draft[field].trim() === ''
  const has = (field: SinkField) => fieldsOf(draft).includes(field) && !isEmpty(field)
  const needed: SinkField[] = isExternal(draft.kind) ? ['url'] : []
  if (draft.kind === 'influx') needed.push(...(draft.version === '2' ? (['org', 'bucket'] as const) : (['database'] as const)))
  if (has('username')) needed.push('secret')
  if (draft.kind === 'influx' && draft.version === '1' && has('secret')) needed.push('username')
  return needed.filter(isEmpty)
}

/** What the server says of a sink: at a field, or of the whole. */
export interface SinkError {
  sink: number
  field: SinkField | null
  text: string
}

interface Said { message: string; hint?: string | null | undefined; code?: string | undefined }

/** Where in the document the server says it is, and what is said after that. */
const PLACES: [RegExp, (field: string) => string | null][] = [
  [/`spec\.sinks\[(\d+)\](?:\.(\w+)` |`: `(\w+)`: )(.*)$/s, (field) => field],
  [/`spec\.sinks\[(\d+)\]`()():? (.* has no such database)$/s, () => 'database'],
  [/`spec\.sinks\[(\d+)\]`()():? (.*)$/s, () => null],
]

const sentence = (text: string) => (text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}`.replace(/([^.?!])$/, '$1.'))

/** An error about one of these sinks, in the order in which they were sent; `null` for one that is about something else. */
export function sinkError({ message, hint, code }: Said, sinks: SinkDraft[]): SinkError | null {
  const textOf = (said: string) => [said, hint ?? ''].map(sentence).filter(Boolean).join(' ')
  const secret = code?.startsWith('secret_') ? /secret `([^`]+)`/.exec(message)?.[1] : undefined
  if (secret !== undefined) {
    const sink = sinks.findIndex((one) => fieldsOf(one).includes('secret') && one.secret === secret)
    return sink < 0 ? null : { sink, field: 'secret', text: textOf(message) }
  }
  for (const [pattern, fieldOf] of PLACES) {
    const [, index, key = '', name = '', said = ''] = pattern.exec(message) ?? []
    const sink = Number(index)
    const draft = index === undefined ? undefined : sinks[sink]
    if (!draft) continue
    const named = fieldOf(key || name)
    const field = fieldsOf(draft).find((one) => one === named) ?? null
    return { sink, field, text: textOf(field || !named ? said : `${named}: ${said}`) }
  }
  return null
}
