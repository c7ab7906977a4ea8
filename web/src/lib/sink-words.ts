// Where a sink is and how it is written to, in words.
import type { SinkSpec, SinkStatus } from './api'
import { duration, parseDuration } from './format'
import { t } from './i18n'
import { isExternal } from './sink-form'

/** On which cluster a sink's topic is, how often each row arrives there, and when it is seen. */
export function wayOf(sink: SinkStatus): string {
  const delivery = { exactlyOnce: t.kafka.exactlyOnce, atLeastOnce: t.kafka.atLeastOnce }[sink.delivery ?? '']
  const every = sink.visibleEvery ? t.kafka.seenEvery(duration(parseDuration(sink.visibleEvery) ?? 0)) : ''
  return [sink.cluster ? t.kafka.on(sink.cluster) : '', delivery?.toLowerCase(), every].filter(Boolean).join(', ')
}

type Named = Pick<SinkSpec, 'kind' | 'version'>

/** What people call it: `InfluxDB 1`. */
export const kindOf = ({ kind, version }: Named) => [t.form.places[kind]?.[0] ?? kind, kind === 'influx' ? version : ''].filter(Boolean).join(' ')

/** What is written there: a measurement, a topic. */
export const targetOf = (sink: SinkSpec) => sink.topic ?? sink.measurement ?? ''

/** Where a server of somebody else's is, without its scheme: `daggers at influx:8086`. */
export function serverOf(sink: SinkSpec): string {
  const host = (sink.url ?? '').replace(/^https?:\/\//, '').replace(/\/+$/, '')
  const within = sink.database ?? sink.bucket
  return !isExternal(sink.kind) ? '' : within ? t.form.sinkTo(within, host) : host
}
