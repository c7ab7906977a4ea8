import { expect, test } from 'vitest'
import { formOf, toDraft } from './form'
import { emptySink, missingIn, sinkError, sinkOf } from './sink-form'
import type { Dagger, SinkSpec } from './api'

const dagger = (sinks: SinkSpec[]) => ({
  metadata: { name: 'd', group: 'default', labels: {} },
  spec: { cluster: 'embedded', streams: [], sql: 'SELECT 1', sinks, parallelism: 1, checkpoint: { interval: '10s' }, state: 'running' },
}) as unknown as Dagger

const influx: SinkSpec = { kind: 'influx', version: 1, url: 'http://influx:8086', database: 'd', measurement: 'm', retentionPolicy: 'month', tags: ['city', 'area'], username: 'u', secret: 's' }
const series: SinkSpec = { kind: 'series', measurement: 'm', retention: '30d' }
const sinks: SinkSpec[] = [
  influx, series,
  { kind: 'influx', version: 2, url: 'https://influx', org: 'o', bucket: 'b', secret: 's' },
  { kind: 'influx', version: 3, url: 'https://influx', database: 'd', secret: 's' },
  { kind: 'victoriaMetrics', url: 'http://victoria:8428', measurement: 'm', username: 'u', secret: 's' },
  { kind: 'prometheusRemoteWrite', url: 'http://prometheus:9090/api/v1/write', tags: ['city'] },
  { kind: 'topic', topic: 't', schema: 'S', partitions: 3, key: ['a', 'b'], headers: { origin: 'x' }, cluster: 'kafka', delivery: 'atLeastOnce', compression: 'zstd' },
  { kind: 'log' },
  { kind: 'ofTomorrow', url: 'x' },
]

test('every sink stays as it is written, in its order', () => {
  for (const sink of sinks) expect(toDraft(formOf(dagger([sink]), 'd')).spec.sinks).toEqual([sink])
  expect(toDraft(formOf(dagger(sinks), 'd')).spec.sinks).toEqual(sinks)
})

test('a clone writes a measurement of its own, and to no server of the original', () => {
  expect(toDraft(formOf(dagger([influx]), 'copy')).spec.sinks).toEqual([{ kind: 'series' }])
  expect(toDraft(formOf(dagger([influx, series]), 'copy')).spec.sinks).toEqual([{ kind: 'series', retention: '30d' }])
})

test('fields of another version or kind are not sent', () => {
  const filled = { ...emptySink('influx'), url: ' http://a ', database: 'd', retentionPolicy: 'p', org: 'o', bucket: 'b', username: 'u', secret: 's', topic: 't', tags: ' a , b,' }
  expect(sinkOf(filled)).toEqual({ kind: 'influx', version: 1, url: 'http://a', tags: ['a', 'b'], secret: 's', database: 'd', retentionPolicy: 'p', username: 'u' })
  expect(sinkOf({ ...filled, version: '2' })).toEqual({ kind: 'influx', version: 2, url: 'http://a', tags: ['a', 'b'], secret: 's', org: 'o', bucket: 'b' })
  expect(sinkOf({ ...filled, kind: 'log' })).toEqual({ kind: 'log' })
})

test('what is missing is known before the server is asked', () => {
  expect(missingIn(emptySink())).toEqual([])
  expect(missingIn(emptySink('influx'))).toEqual(['url', 'database'])
  expect(missingIn({ ...emptySink('influx'), version: '2', url: 'u' })).toEqual(['org', 'bucket'])
  expect(missingIn({ ...emptySink('influx'), url: 'u', database: 'd', secret: 's' })).toEqual(['username'])
  expect(missingIn({ ...emptySink('victoriaMetrics'), url: 'u', username: 'n' })).toEqual(['secret'])
  expect(missingIn({ ...emptySink('prometheusRemoteWrite'), url: 'u', secret: 's' })).toEqual([])
})

test('what the server says is shown at the field that it is about', () => {
  const drafts = [emptySink(), { ...emptySink('influx'), secret: 'gone' }]
  const said = (message: string, more = {}) => sinkError({ message, ...more }, drafts)
  expect(said('`spec.sinks[1]`: `url`: `influx:8086` is no address of a server', { hint: 'write for example `http://influx:8086`' })).toEqual({ sink: 1, field: 'url', text: '`influx:8086` is no address of a server. Write for example `http://influx:8086`.' })
  expect(said('`spec.sinks[1].database` must have 1 to 1024 bytes')).toMatchObject({ sink: 1, field: 'database', text: 'Must have 1 to 1024 bytes.' })
  expect(said('`spec.sinks[1]`: InfluxDB 1 `nowhere` at http://influx:8086 has no such database')).toMatchObject({ field: 'database', text: expect.stringContaining('InfluxDB 1 `nowhere`') as string })
  expect(said('`spec.sinks[1]`: the field `n` would be written as integer, and InfluxDB has it as float')).toMatchObject({ sink: 1, field: null })
  expect(said('there is no secret `gone`', { code: 'secret_not_found' })).toMatchObject({ sink: 1, field: 'secret' })
  expect(said('the sink `influx` cannot take this query: `spec.sinks[1]`: the column `x` is a field')).toMatchObject({ sink: 1, field: null })
  for (const other of ['there is no table `pings`', '`spec.sql` is empty', '`spec.sinks[7].url` is wrong']) expect(said(other)).toBeNull()
})
