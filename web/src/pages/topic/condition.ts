// What is written into the filter: a condition in SQL, or a text to look for.
import type { Schema, SchemaField } from '$lib/api'

export type Filter = { where: string } | { text: string } | null

const COMPARISON = /[=<>]/
const WORD = /(^|[\s(])(`?[\w.]+`?|\))\s+(not\s+)?(like\s+'|in\s*\(|is\s+(not\s+)?(null|true|false)\b|between\s+\S)/i
const CALL = /^\s*(not\s+)?\w+\(.*\)\s*$/i

/** Quotation marks around everything make a text of what would be a condition. */
export function filterOf(written: string, hasSchema: boolean): Filter {
  const text = written.trim()
  if (text === '') return null
  const quoted = /^"(.*)"$/.exec(text)
  if (quoted) return quoted[1] ? { text: quoted[1] } : null
  return hasSchema && (COMPARISON.test(text) || WORD.test(text) || CALL.test(text)) ? { where: text } : { text }
}

/** A field as a condition names it, with the values that it can have when they are few. */
export interface FieldPath {
  path: string
  type: string
  comment: string
  values: string[]
}

const DEPTH_MAX = 4

export function fieldsOf(schema: Schema | undefined, all: Schema[], prefix = '', depth = 0): FieldPath[] {
  return (schema?.spec.fields ?? []).flatMap((field) => {
    const path = prefix + field.name
    const inner = field.message && field.label !== 'repeated' && depth < DEPTH_MAX ? all.find((candidate) => candidate.metadata.name === field.message) : undefined
    return inner ? fieldsOf(inner, all, `${path}.`, depth + 1) : [{ path, type: shortType(field), comment: field.comment ?? '', values: field.enumValues ?? [] }]
  })
}

const shortType = (field: SchemaField) => (field.label === 'repeated' ? 'list' : field.enumValues ? 'enum' : field.type === 'google.protobuf.Timestamp' ? 'time' : field.type)

const OWN: FieldPath[] = [['_key', 'bytes'], ['_partition', 'number'], ['_offset', 'number'], ['_timestamp', 'time']].map(([path = '', type = '']) => ({ path, type, comment: '', values: [] }))

export interface Suggestion {
  label: string
  detail: string
  /** What the text and the place of the caret become. */
  text: string
  caret: number
}

const SUGGESTIONS_MAX = 8

/** What may stand at the caret: the values of a field behind its operator, else the fields that begin so. */
export function suggestions(written: string, caret: number, fields: FieldPath[]): Suggestion[] {
  const before = written.slice(0, caret)
  const value = /([\w.]+)\s*(?:=|<>|!=|\bin\s*\((?:[^()]*,)?)\s*('?[\w-]*)$/i.exec(before)
  const of = value && fields.find((field) => field.path === value[1])
  if (value && of && of.values.length > 0) {
    const typed = (value[2] ?? '').replace("'", '').toLowerCase()
    const found = of.values.filter((name) => name.toLowerCase().includes(typed) && name.toLowerCase() !== typed)
    return found.slice(0, SUGGESTIONS_MAX).map((name) => put(written, caret, (value[2] ?? '').length, `'${name}'`, name, of.path))
  }
  const word = /[A-Za-z_][\w.]*$/.exec(before)?.[0] ?? ''
  const isInText = (before.split("'").length - 1) % 2 === 1
  if (word === '' || isInText) return []
  const wanted = word.toLowerCase()
  const place = (field: FieldPath) => (field.path.toLowerCase().startsWith(wanted) ? 0 : field.path.toLowerCase().includes(`.${wanted}`) ? 1 : 2)
  return [...fields, ...OWN]
    .filter((field) => field.path.toLowerCase().includes(wanted) && field.path.toLowerCase() !== wanted)
    .sort((a, b) => place(a) - place(b))
    .slice(0, SUGGESTIONS_MAX)
    .map((field) => put(written, caret, word.length, field.path, field.path, field.type))
}

function put(written: string, caret: number, length: number, insert: string, label: string, detail: string): Suggestion {
  const start = written.slice(0, caret - length) + insert
  return { label, detail, text: start + written.slice(caret).replace(/^'/, insert.endsWith("'") ? '' : "'"), caret: start.length }
}

/** Conditions that somebody could mean, over the topic's own fields and, where one was seen, with the values of a record. */
export function examples(fields: FieldPath[], valueOf: (path: string) => unknown): string[] {
  const few = fields.find((field) => field.values.length > 1)
  const amounts = fields.filter((field) => /^(double|float|u?int|s?fixed|sint)/.test(field.type) && !/(^|[._])(lat|lon|lng)/i.test(field.path))
  const amount = amounts.find((field) => typeof valueOf(field.path) === 'number') ?? amounts[0]
  const name = fields.find((field) => field.type === 'string' && valueOf(field.path)) ?? fields.find((field) => field.type === 'string')
  const seen = few && typeof valueOf(few.path) === 'string' ? String(valueOf(few.path)) : few?.values.find((value) => !/UNSPECIFIED|UNKNOWN/.test(value)) ?? ''
  const other = few?.values.find((value) => value !== seen && !/UNSPECIFIED|UNKNOWN/.test(value))
  const size = amount ? Number(valueOf(amount.path) ?? 0) : 0
  const about = Math.abs(size) >= 10 ? Math.round(size) : Math.round(size * 10) / 10
  const text = name ? String(valueOf(name.path) ?? '') : ''
  return [
    ...(few ? [`${few.path} = '${seen}'`] : []),
    ...(amount ? [`${amount.path} > ${about}`] : []),
    ...(few && amount ? [`${few.path} = '${seen}' AND ${amount.path} > ${about}`] : []),
    ...(few && other ? [`${few.path} IN ('${seen}', '${other}')`] : []),
    ...(name ? [`${name.path} LIKE '${quoteless(text).slice(0, 2) || 'A'}%'`] : []),
    ...(text.length > 2 ? [quoteless(text)] : []),
  ]
}

const quoteless = (text: string) => text.replaceAll("'", '').slice(0, 40)

/** The condition around the column where it is wrong; columns are counted from one. */
export function marked(condition: string, line: number, column: number): { before: string; wrong: string; after: string } {
  const start = condition.split('\n').slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0) + column - 1
  const at = Math.max(0, Math.min(start, condition.length))
  const wrong = /^(?:[\w.`]+|'[^']*'?|\S)/.exec(condition.slice(at))?.[0] ?? ''
  return { before: condition.slice(0, at), wrong: wrong || '␣', after: condition.slice(at + wrong.length) }
}

/** What stands at a path of a decoded value. */
export function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, part) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[part] : undefined), value)
}
