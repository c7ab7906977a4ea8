import { expect, test } from 'vitest'
import type { Firehose, FirehoseSpec, SinkDescription, SinkSetting } from './api/firehose-types'
import { placeOf, seekEffect } from './firehose'
import { constantOf, constantText, emptyFirehose, emptyPair, formOfFirehose, formProblem, missingPlaces, problemAt, routesOf, settingsOf, toFirehose, withoutSpec } from './firehose-form'

const setting = (key: string, type: SinkSetting['type'], more: Partial<SinkSetting> = {}): SinkSetting => ({ key, title: key, help: '', type, need: 'optional', ...more })
const kinds: SinkDescription[] = [
  {
    kind: 'table', title: 'Table', what: '', settings: [
      setting('url', 'url', { need: 'required' }), setting('mode', 'choice', { need: 'default', default: 'append', choices: ['append', 'upsert'] }), setting('keys', 'columns', { need: 'required', onlyWith: { key: 'mode', values: ['upsert'] } }),
      setting('order', 'choice', { choices: ['asc', 'desc'], onlyWith: { key: 'mode', values: ['upsert'] } }), setting('ties', 'text', { onlyWith: { key: 'order', values: ['desc'] } }),
      setting('create', 'boolean', { need: 'default', default: false }), setting('limit', 'integer'), setting('timeout', 'duration'), setting('headers', 'templates'), setting('body', 'template'), setting('password', 'secret'),
    ],
  },
  { kind: 'log', title: 'Log', what: '', settings: [] },
]
const spec: FirehoseSpec = {
  topic: 'bookings', startFrom: 'latest', stopAt: '2026-12-01T00:00:00Z', filter: 'price > 10.0', jsonSchema: { type: 'object' }, timeWindow: { field: 'event_timestamp', past: '168h' },
  columns: [{ field: 'customer.id', as: 'customer_id' }, { constant: 'web', as: 'channel' }, { constant: '5', as: 'five' }, { constant: 5, as: 'number' }, { expression: 'price * 1.1', as: 'gross' }, { expression: 'a', as: 'b', type: 'double' }, { hash: 'email', as: 'email_hash', secret: 'hash-key' }],
  sink: { kind: 'table', url: 'http://a', mode: 'upsert', keys: ['id', 'day'], create: true, limit: 5, timeout: '10s', headers: { 'x-id': '{{ id }}', 'a b': 'c' }, body: '{ "id": {{ id }} }\n', password: 'p' },
  delivery: { batchRecords: 5000, batchBytes: '4MB', linger: '100ms', parallelism: 2, recordsPerSecond: 10000, callsPerSecond: 50, retry: { first: '200ms', longest: '30s' }, onError: { refused: 'fail', down: 'retry' }, breakAfter: 10 },
  deadLetters: { topic: 'bookings-dead' },
}
const firehose = (of: FirehoseSpec) => ({ metadata: { name: 'f', group: 'default', labels: { team: 'a' } }, spec: of }) as unknown as Firehose

test('a document stays as it is written', () => {
  for (const one of [spec, { topic: 't', sink: { kind: 'log' } }, { topic: 't', sink: { kind: 'ofTomorrow', url: 'x' } }, { topic: 't', columns: [], sink: { kind: 'log' } }] as FirehoseSpec[]) {
    const draft = toFirehose(formOfFirehose(firehose(one), 'f', kinds), kinds)
    expect(draft.spec).toEqual(one)
    expect(draft.metadata).toEqual({ name: 'f', group: 'default', labels: { team: 'a' } })
  }
})

test('settings of no use with what is chosen are neither shown, sent nor needed', () => {
  const form = { ...emptyFirehose(), name: 'f', topic: 't', kind: 'table', settings: { table: { url: ' http://a ', mode: '', keys: ['id'], limit: 'many', headers: [emptyPair('', 'x'), emptyPair('h', '1')] } } }
  expect(settingsOf(kinds[0]!, form.settings.table).map((one) => one.key)).not.toContain('keys')
  expect(toFirehose(form, kinds).spec.sink).toEqual({ kind: 'table', url: 'http://a', limit: 'many', headers: { h: '1' } })
  expect(missingPlaces(form, kinds)).toEqual([])
  // What depends on a setting that is of no use is of none either.
  expect(settingsOf(kinds[0]!, { order: 'desc' }).map((one) => one.key)).not.toContain('ties')
  expect(settingsOf(kinds[0]!, { order: 'desc', mode: 'upsert' }).map((one) => one.key)).toContain('ties')
  form.settings.table = { ...form.settings.table, mode: 'upsert', keys: [] }
  expect(missingPlaces(form, kinds)).toEqual(['sink.keys'])
  expect(missingPlaces(emptyFirehose(), kinds)).toEqual(['metadata.name', 'topic', 'sink.kind'])
})

test('constants are what they look like', () => {
  for (const value of ['web', '5', 5, -1.5, true, 'true', null, '', 'say "no"', '"quoted"']) expect(constantOf(constantText(value))).toEqual(value)
})

test('a problem stands at its place', () => {
  const problems = [{ place: 'spec.columns[1].expression', detail: '`spec.columns[1].expression`: there is no `prise`', hint: 'did you mean `price`?' }, { place: 'sink.url', detail: '`spec.sink.url` is no address' }].map(withoutSpec)
  expect(problemAt(problems, 'columns[1]')).toBe('There is no `prise`. Did you mean `price`?')
  expect(problemAt(problems, 'columns[10]')).toBe('')
  expect(problemAt(problems, 'sink.url')).toBe('Is no address.')
  expect(problemAt(problems, 'sink.urls')).toBe('')
})

test('an outage never goes to the dead letters', () => {
  for (const outage of ['down', 'throttled', 'auth', 'ours'] as const) expect(routesOf(outage)).not.toContain('deadLetter')
})

test('a seek says how many records come again, and how many never', () => {
  const positions = [{ partition: 0, position: 100 }, { partition: 1, position: 50 }, { partition: 2, position: 7 }]
  expect(seekEffect(positions, new Map([[0, 40], [1, 80]]))).toEqual({ again: 60, skipped: 30 })
})

test('numbers and times are judged without the server', () => {
  const limit = setting('limit', 'integer', { min: 1, max: 10 })
  for (const good of ['', '1', ' 10 ']) expect(formProblem(limit, good)).toBeNull()
  for (const bad of ['0', '11', '1.5', 'x', '1e1']) expect(formProblem(limit, bad)).toBe('integer')
  for (const good of ['500ms', '10s']) expect(formProblem(setting('wait', 'duration'), good)).toBeNull()
  for (const bad of ['10', 's', '10 s', '1d']) expect(formProblem(setting('wait', 'duration'), bad)).toBe('duration')
})

test('where records go, without who logs in', () => {
  const place = (sink: object) => placeOf({ spec: { topic: 't', sink }, status: {} } as unknown as Firehose)
  expect(place({ kind: 'postgres', url: 'postgres://reports:x@db.example:5432/shop', table: 'orders' })).toBe('orders – db.example:5432')
  expect(place({ kind: 'http', url: 'https://shop.example/orders/{{ id }}' })).toBe('shop.example')
  expect(place({ kind: 'postgres', host: 'db', table: 'orders' })).toBe('orders – db')
  expect(place({ kind: 'log' })).toBe('log')
})
