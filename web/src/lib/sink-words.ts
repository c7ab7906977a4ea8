// How a sink's topic is written to, in words.
import type { SinkStatus } from './api'
import { duration, parseDuration } from './format'
import { t } from './i18n'

/** On which cluster a sink's topic is, how often each row arrives there, and when it is seen. */
export function wayOf(sink: SinkStatus): string {
  const delivery = { exactlyOnce: t.kafka.exactlyOnce, atLeastOnce: t.kafka.atLeastOnce }[sink.delivery ?? '']
  const every = sink.visibleEvery ? t.kafka.seenEvery(duration(parseDuration(sink.visibleEvery) ?? 0)) : ''
  return [sink.cluster ? t.kafka.on(sink.cluster) : '', delivery?.toLowerCase(), every].filter(Boolean).join(', ')
}
