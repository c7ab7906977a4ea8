import { expect, test } from 'vitest'
import { formOf, toDraft } from './form'
import type { Dagger, SinkSpec } from './api'

const dagger = (sinks: SinkSpec[]) => ({
  metadata: { name: 'd', group: 'default', labels: {} },
  spec: { cluster: 'embedded', streams: [], sql: 'SELECT 1', sinks, parallelism: 1, checkpoint: { interval: '10s' }, state: 'running' },
}) as unknown as Dagger

const influx = { kind: 'influx', version: 1, url: 'http://influx:8086', database: 'd', measurement: 'm' } as SinkSpec
const series = { kind: 'series', measurement: 'm' } as SinkSpec

test('sinks that the form has no fields for stay as they are', () => {
  for (const sinks of [[influx], [series], [series, influx]]) expect(toDraft(formOf(dagger(sinks), 'd')).spec.sinks).toEqual(sinks)
  expect(toDraft(formOf(dagger([influx, series]), 'd')).spec.sinks).toEqual([series, influx])
})

test('a clone begins with the default', () => {
  expect(toDraft(formOf(dagger([influx]), 'copy')).spec.sinks).toEqual([{ kind: 'series' }])
})
