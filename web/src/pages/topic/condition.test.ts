import { expect, test } from 'vitest'
import type { Schema, SchemaField } from '$lib/api'
import { examples, fieldsOf, filterOf, marked, suggestions } from './condition'

test('an operator makes a condition, everything else is a text', () => {
  for (const where of ["status = 'A'", 'price>10', "name LIKE 'D-%'", "status in ('A')", 'order.at IS NOT NULL', 'fare between 1 and 2', "ListContains(tags, 'x')"]) expect(filterOf(where, true)).toEqual({ where })
  for (const text of ['D-17', 'order in progress', 'it is late', 'somebody likes it']) expect(filterOf(text, true)).toEqual({ text })
  expect(filterOf('"a=b"', true)).toEqual({ text: 'a=b' })
  expect(filterOf('a=b', false)).toEqual({ text: 'a=b' })
  expect(filterOf('  ', true)).toBeNull()
})

const field = (name: string, more: Partial<SchemaField> = {}): SchemaField => ({ name, number: 1, type: 'string', label: 'optional', ...more })
const schemas: Schema[] = [
  { apiVersion: 'millrace/v1', kind: 'Schema', metadata: { name: 'Booking' }, spec: { file: '', comment: null, fields: [field('order_number'), field('status', { type: 'Status', enumValues: ['UNKNOWN', 'CREATED', 'COMPLETED'] }), field('fare', { type: 'Fare', message: 'Fare' })] } },
  { apiVersion: 'millrace/v1', kind: 'Schema', metadata: { name: 'Fare' }, spec: { file: '', comment: null, fields: [field('total', { type: 'double' }), field('currency')] } },
]
const fields = fieldsOf(schemas[0], schemas)

test('fields of messages inside have a path', () => {
  expect(fields.map((one) => one.path)).toEqual(['order_number', 'status', 'fare.total', 'fare.currency'])
})

test('suggested are fields, and behind an operator the values of the field', () => {
  const at = (text: string) => suggestions(text, text.length, fields)
  expect(at('tot').map((one) => one.text)).toEqual(['fare.total'])
  expect(at('fare.total > 1 and sta')[0]?.text).toBe('fare.total > 1 and status')
  expect(at('status = ').map((one) => one.label)).toEqual(['UNKNOWN', 'CREATED', 'COMPLETED'])
  expect(at("status = 'comp")[0]?.text).toBe("status = 'COMPLETED'")
  expect(at("status IN ('CREATED', ")).toHaveLength(3)
  expect(at("order_number = 'fare")).toEqual([])
  const inside = suggestions("status = 'CRE' AND x", 13, fields)[0]
  expect(inside).toMatchObject({ text: "status = 'CREATED' AND x", caret: 18 })
})

test('examples are over the own fields, with values that were seen', () => {
  const seen: Record<string, unknown> = { status: 'COMPLETED', 'fare.total': 41_250.4, order_number: 'RB-17' }
  expect(examples(fields, (path) => seen[path])).toEqual([
    "status = 'COMPLETED'", 'fare.total > 41250', "status = 'COMPLETED' AND fare.total > 41250", "status IN ('COMPLETED', 'CREATED')", "order_number LIKE 'RB%'", 'RB-17',
  ])
})

test('what is wrong is marked as a whole word', () => {
  expect(marked('statu = 1', 1, 1)).toEqual({ before: '', wrong: 'statu', after: ' = 1' })
  expect(marked('a = 1 AND', 1, 10)).toEqual({ before: 'a = 1 AND', wrong: '␣', after: '' })
})
