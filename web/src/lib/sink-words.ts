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

const hostOf = (sink: SinkSpec) => (sink.url ?? '').replace(/^https?:\/\//, '').replace(/\/+$/, '')

/** Where a server of somebody else's is, without its scheme: `daggers at influx:8086`. */
export function serverOf(sink: SinkSpec): string {
  const within = sink.database ?? sink.bucket
  return !isExternal(sink.kind) ? '' : within ? t.form.sinkTo(within, hostOf(sink)) : hostOf(sink)
}

/** What it is and where: `InfluxDB 1 daggers at influx:8086`, `Topic counts`. */
export function placeOf(sink: SinkSpec): string {
  const what = [kindOf(sink), isExternal(sink.kind) ? sink.database ?? sink.bucket : targetOf(sink)].filter(Boolean).join(' ')
  return isExternal(sink.kind) ? t.form.sinkTo(what, hostOf(sink)) : what
}
