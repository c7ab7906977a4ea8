// What the form of a firehose holds, and how it becomes the document that the server takes.
import type { Cell } from './api'
import { ERROR_CLASSES, type ColumnDocument, type DeliveryDocument, type ErrorClass, type Firehose, type FirehoseDraft, type PlacedProblem, type Route, type SinkDescription, type SinkSetting } from './api/firehose-types'
import { nameIsGood } from './form'

export interface Pair {
  id: number
  name: string
  text: string
}

/** A text for all that is one value, names for columns, pairs for maps. Empty is what the server does by itself. */
export type SettingValue = string | string[] | Pair[]

export const COLUMN_SOURCES = ['field', 'expression', 'constant', 'hash'] as const
export type ColumnSource = (typeof COLUMN_SOURCES)[number]

export interface ColumnDraft {
  id: number
  source: ColumnSource
  text: string
  as: string
  secret: string
  /** Of an expression; empty when it follows from it. */
  type: string
}

export interface DeliveryState {
  batchRecords: string
  batchBytes: string
  linger: string
  parallelism: string
  recordsPerSecond: string
  callsPerSecond: string
  retryFirst: string
  retryLongest: string
  breakAfter: string
  onError: Partial<Record<ErrorClass, Route>>
}

export interface FirehoseForm {
  name: string
  group: string
  labels: Record<string, string>
  topic: string
  startFrom: string
  stopAt: string
  filter: string
  /** As JSON. */
  jsonSchema: string
  windowField: string
  windowPast: string
  windowFuture: string
  /** Without it every field is written as it is called. */
  hasColumns: boolean
  columns: ColumnDraft[]
  kind: string
  /** By kind and key, so that trying another kind loses nothing. */
  settings: Record<string, Record<string, SettingValue>>
  /** The sink as it is written, for a kind that the server does not describe. */
  written: FirehoseDraft['spec']['sink'] | null
  delivery: DeliveryState
  deadLetterTopic: string
}

// A kept draft has ids of an earlier visit.
let nextId = Date.now()
export const emptyPair = (name = '', text = ''): Pair => ({ id: nextId++, name, text })
export const emptyColumn = (source: ColumnSource = 'field', text = ''): ColumnDraft => ({ id: nextId++, source, text, as: '', secret: '', type: '' })

export const emptyFirehose = (): FirehoseForm => ({
  name: '', group: '', labels: {}, topic: '', startFrom: '', stopAt: '', filter: '', jsonSchema: '', windowField: '', windowPast: '', windowFuture: '', hasColumns: false, columns: [], kind: '', settings: {}, written: null,
  delivery: { batchRecords: '', batchBytes: '', linger: '', parallelism: '', recordsPerSecond: '', callsPerSecond: '', retryFirst: '', retryLongest: '', breakAfter: '', onError: {} }, deadLetterTopic: '',
})

/** Names, and something for each. */
export const isMap = ({ type }: SinkSetting) => type === 'templates' || type === 'texts' || type === 'secrets'
export const emptyValue = (setting: SinkSetting): SettingValue => (setting.type === 'columns' || isMap(setting) ? [] : '')

/** A value as the field of its setting holds it. */
export function valueOf(setting: SinkSetting, written: Cell | undefined): SettingValue {
  if (written === undefined || written === null) return emptyValue(setting)
  if (setting.type === 'columns') return Array.isArray(written) ? written.map(String) : []
  if (isMap(setting)) return typeof written === 'object' && !Array.isArray(written) ? Object.entries(written).map(([name, text]) => emptyPair(name, String(text))) : []
  return typeof written === 'object' ? JSON.stringify(written) : String(written)
}

export const isEmpty = (value: SettingValue | undefined) => value === undefined || (typeof value === 'string' ? value.trim() === '' : value.length === 0)

/** Whether somebody has said something else than the server does by itself. */
export const isSaid = (setting: SinkSetting, value: SettingValue | undefined) => !isEmpty(value) && value !== (setting.default === undefined || setting.default === null ? undefined : String(setting.default))

/** The text that decides whether another setting is of use: its own, or its default. */
function decides(setting: SinkSetting | undefined, value: SettingValue | undefined): string {
  if (typeof value === 'string' && value !== '') return value
  return setting?.default === undefined || setting.default === null ? '' : String(setting.default)
}

/** Those that are of use with what is chosen; one that depends on another of no use is of no use. */
export function settingsOf(description: SinkDescription, values: Record<string, SettingValue>): SinkSetting[] {
  const isOfUse = ({ onlyWith }: SinkSetting, depth = 0): boolean => {
    if (!onlyWith) return true
    const other = description.settings.find((setting) => setting.key === onlyWith.key)
    return onlyWith.values.includes(decides(other, values[onlyWith.key])) && (!other || depth > description.settings.length || isOfUse(other, depth + 1))
  }
  return description.settings.filter((setting) => isOfUse(setting))
}

/** What can be seen without the server: a number out of its limits, and what is no length of time. */
export function formProblem(setting: SinkSetting, value: SettingValue | undefined): 'integer' | 'duration' | null {
  if (typeof value !== 'string' || value.trim() === '') return null
  const text = value.trim()
  if (setting.type === 'duration') return /^\d+(ms|s|m|h)$/.test(text) ? null : 'duration'
  if (setting.type !== 'integer') return null
  const isWithin = Number(text) >= (setting.min ?? -Infinity) && Number(text) <= (setting.max ?? Infinity)
  return /^-?\d+$/.test(text) && isWithin ? null : 'integer'
}

function written(setting: SinkSetting, value: SettingValue): Cell {
  if (typeof value === 'string') {
    const text = value.trim()
    if (setting.type === 'boolean') return text === 'true'
    // What is no number is sent as it is, and the server says so.
    if (setting.type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : text
    return setting.type === 'template' ? value : text
  }
  if (setting.type === 'columns') return value as string[]
  return Object.fromEntries((value as Pair[]).filter((pair) => pair.name.trim() !== '').map((pair) => [pair.name.trim(), pair.text]))
}

/** `5` and `true` are what they look like; `"5"` is a text. */
export function constantOf(text: string): Cell {
  if (!/^(-?\d+(\.\d+)?|true|false|null|".*")$/s.test(text.trim())) return text
  try {
    return JSON.parse(text) as Cell
  } catch {
    return text
  }
}

export function constantText(value: Cell): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return constantOf(value) === value && value !== '' ? value : JSON.stringify(value)
}

function columnOf({ source, text, as, secret, type }: ColumnDraft): ColumnDocument {
  const name = as.trim() === '' ? {} : { as: as.trim() }
  switch (source) {
    case 'constant': return { constant: constantOf(text), ...name }
    case 'hash': return { hash: text.trim(), ...name, ...(secret ? { secret } : {}) }
    case 'expression': return { expression: text.trim(), ...name, ...(type ? { type } : {}) }
    default: return { field: text.trim(), ...name }
  }
}

function columnDraftOf(column: ColumnDocument): ColumnDraft {
  const of = (source: ColumnSource, text: string): ColumnDraft => ({ ...emptyColumn(source, text), as: column.as ?? '', secret: column.secret ?? '', type: column.type ?? '' })
  if (column.constant !== undefined) return of('constant', constantText(column.constant))
  if (column.expression !== undefined) return of('expression', column.expression)
  if (column.hash !== undefined) return of('hash', column.hash)
  return of('field', column.field ?? '')
}

const NUMBERS = ['batchRecords', 'parallelism', 'recordsPerSecond', 'callsPerSecond', 'breakAfter'] as const

function deliveryOf(state: DeliveryState): DeliveryDocument | null {
  const texts = { batchBytes: state.batchBytes, linger: state.linger }
  const retry = filled({ first: state.retryFirst, longest: state.retryLongest })
  const onError = Object.fromEntries(ERROR_CLASSES.filter((one) => state.onError[one]).map((one) => [one, state.onError[one]]))
  const numbers = Object.fromEntries(NUMBERS.filter((key) => state[key].trim() !== '').map((key) => [key, Number.isNaN(Number(state[key])) ? state[key] : Number(state[key])]))
  const delivery = { ...numbers, ...filled(texts), ...(Object.keys(retry).length > 0 ? { retry } : {}), ...(Object.keys(onError).length > 0 ? { onError } : {}) } as DeliveryDocument
  return Object.keys(delivery).length > 0 ? delivery : null
}

const filled = (fields: Record<string, string>) => Object.fromEntries(Object.entries(fields).map(([key, text]) => [key, text.trim()]).filter(([, text]) => text !== ''))

/** Empty fields are left out: the server knows the defaults. */
export function toFirehose(form: FirehoseForm, kinds: SinkDescription[], name = form.name): FirehoseDraft {
  const description = kinds.find((known) => known.kind === form.kind)
  const values = form.settings[form.kind] ?? {}
  const sink = description
    ? Object.fromEntries(settingsOf(description, values).flatMap((setting) => { const value = values[setting.key]; return value === undefined || isEmpty(value) ? [] : [[setting.key, written(setting, value)]] }))
    : form.written?.kind === form.kind ? form.written : {}
  const delivery = deliveryOf(form.delivery)
  return {
    apiVersion: 'millrace/v1', kind: 'Firehose',
    metadata: { name, ...(form.group ? { group: form.group } : {}), ...(Object.keys(form.labels).length > 0 ? { labels: { ...form.labels } } : {}) },
    spec: {
      topic: form.topic, ...filled({ startFrom: form.startFrom, stopAt: form.stopAt, filter: form.filter }),
      ...(form.jsonSchema.trim() ? { jsonSchema: jsonOf(form.jsonSchema) } : {}),
      ...(form.windowField ? { timeWindow: { field: form.windowField, ...filled({ past: form.windowPast, future: form.windowFuture }) } } : {}),
      ...(form.hasColumns ? { columns: form.columns.map(columnOf) } : {}),
      sink: { kind: form.kind, ...sink },
      ...(delivery ? { delivery } : {}), ...(form.deadLetterTopic.trim() ? { deadLetters: { topic: form.deadLetterTopic.trim() } } : {}),
    },
  }
}

/** A text that is no JSON is sent as a text, and the server says what is wrong with it. */
function jsonOf(text: string): Cell {
  try {
    return JSON.parse(text) as Cell
  } catch {
    return text
  }
}

export function formOfFirehose({ metadata, spec }: Pick<Firehose, 'metadata' | 'spec'>, name: string, kinds: SinkDescription[]): FirehoseForm {
  const text = (value: string | number | null | undefined) => (value === null || value === undefined ? '' : String(value))
  const description = kinds.find((known) => known.kind === spec.sink.kind)
  const delivery = spec.delivery ?? {}
  return {
    ...emptyFirehose(), name, group: metadata.group, labels: { ...metadata.labels }, topic: spec.topic, startFrom: text(spec.startFrom), stopAt: text(spec.stopAt), filter: text(spec.filter),
    jsonSchema: spec.jsonSchema === undefined || spec.jsonSchema === null ? '' : JSON.stringify(spec.jsonSchema, null, 2), windowField: text(spec.timeWindow?.field), windowPast: text(spec.timeWindow?.past), windowFuture: text(spec.timeWindow?.future),
    hasColumns: !!spec.columns, columns: (spec.columns ?? []).map(columnDraftOf), kind: spec.sink.kind, written: spec.sink,
    settings: description ? { [spec.sink.kind]: Object.fromEntries(description.settings.map((setting) => [setting.key, valueOf(setting, spec.sink[setting.key])])) } : {},
    delivery: {
      batchRecords: text(delivery.batchRecords), batchBytes: text(delivery.batchBytes), linger: text(delivery.linger), parallelism: text(delivery.parallelism), recordsPerSecond: text(delivery.recordsPerSecond), callsPerSecond: text(delivery.callsPerSecond),
      retryFirst: text(delivery.retry?.first), retryLongest: text(delivery.retry?.longest), breakAfter: text(delivery.breakAfter), onError: { ...delivery.onError },
    },
    deadLetterTopic: text(spec.deadLetters?.topic),
  }
}

/** Places at which something has to be written before it can be deployed. */
export function missingPlaces(form: FirehoseForm, kinds: SinkDescription[]): string[] {
  const description = kinds.find((known) => known.kind === form.kind)
  const values = form.settings[form.kind] ?? {}
  const needed = description ? settingsOf(description, values).filter((setting) => setting.need === 'required' && isEmpty(values[setting.key])).map((setting) => `sink.${setting.key}`) : []
  return [...(form.name && nameIsGood(form.name) ? [] : ['metadata.name']), ...(form.topic ? [] : ['topic']), ...(form.kind ? [] : ['sink.kind']), ...needed]
}

/** What stands at a place of the form: the place itself and all below it, in one text. */
export function problemAt(problems: PlacedProblem[], place: string): string {
  const own = problems.filter((problem) => isAt(problem.place, place))
  return own.map(({ detail, hint }) => [detail, hint ?? ''].map(sentence).filter(Boolean).join(' ')).join(' ')
}

export const isAt = (place: string, of: string) => place === of || place.startsWith(`${of}.`) || place.startsWith(`${of}[`)

/** Places begin inside the spec, `sink.url`; the text does not say the place once more. */
export const withoutSpec = (problem: PlacedProblem): PlacedProblem => ({ ...problem, place: problem.place.replace(/^spec\./, ''), detail: problem.detail.replace(/^`(spec|metadata)[\w.[\]]*`:?\s+/, '') })

const sentence = (text: string) => (text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}`.replace(/([^.?!])$/, '$1.'))

/** Routes that a class of errors can take: an outage never fills the dead letters. */
export const routesOf = (of: ErrorClass): readonly Route[] => (of === 'badRecord' || of === 'refused' ? ['deadLetter', 'retry', 'fail'] : ['retry', 'fail'])
/** What the server does when nothing is written. */
export const ROUTE_DEFAULT: Record<ErrorClass, Route> = { badRecord: 'deadLetter', refused: 'deadLetter', down: 'retry', throttled: 'retry', auth: 'retry', ours: 'fail' }
