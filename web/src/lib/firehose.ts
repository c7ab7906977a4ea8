// What can be told from a firehose as the server sends it.
import type { Topic } from './api'
import type { Shares } from './dagger'
import type { Firehose, FirehoseLedger, SinkDescription } from './api/firehose-types'
import { includes, type LocalRules } from './paged'

/** Pauses and stops are somebody's will; the rest is not well. */
export const isUnwell = (firehose: Firehose) => ['retrying', 'failed'].includes(firehose.status.state) || !!firehose.status.sink?.problem
export const isResting = (firehose: Firehose) => ['paused', 'stopped', 'failed'].includes(firehose.status.state)

/** Where its records go, as far as its settings tell: `cancelled_orders – db:5432`. Passwords are in no setting, names in an address are left out. */
export function placeOf({ spec: { sink }, status }: Firehose): string {
  const text = (key: string): string => {
    const value = sink[key]
    return typeof value === 'string' ? value : ''
  }
  const what = ['table', 'topic', 'measurement', 'method', 'event', 'database'].map(text).find(Boolean) ?? ''
  const where = /^[a-z+]+:\/\/(?:[^@/]*@)?([^/?#]+)/i.exec(text('url') || text('host'))?.[1] ?? text('host')
  return [what, where].filter(Boolean).join(' – ') || status.sink?.description || sink.kind
}

export const firehoseRules: LocalRules<Firehose> = {
  matches: (firehose, query) =>
    (!query.search || [firehose.metadata.name, firehose.spec.topic, firehose.spec.sink.kind, placeOf(firehose)].some((text) => includes(text, query.search ?? ''))) &&
    (!query.group || firehose.metadata.group === query.group) &&
    (!query.state || firehose.status.state === query.state),
  value: (firehose, sort) => {
    switch (sort) {
      case 'state': return firehose.status.state
      case 'topic': return firehose.spec.topic
      case 'sink': return firehose.spec.sink.kind
      case 'group': return firehose.metadata.group
      case 'rate': return firehose.status.recordsPerSecond
      case 'lag': return firehose.status.lag
      case 'latency': return firehose.status.latency?.p50Millis ?? -1
      case 'dead': return firehose.status.ledger.deadLettered
      default: return firehose.metadata.name
    }
  },
}

/** In the form that the ledger of a dagger has. */
export const asLedger = ({ consumed, delivered, filtered, late, deadLettered, held }: FirehoseLedger): Shares =>
  ({ consumed, delivered, filtered, late, dead_lettered: deadLettered, held })

export const titleOf = (kind: string, kinds: SinkDescription[] | null | undefined) => kinds?.find((known) => known.kind === kind)?.title ?? kind

/** Records that are delivered once more (`again`) or never (`skipped`) when the place moves; `null` where it is not known. */
export interface SeekEffect {
  again: number
  skipped: number
}

/** What becomes of records when each partition goes on at `offsets`. */
export function seekEffect(positions: { partition: number; position: number }[], offsets: ReadonlyMap<number, number>): SeekEffect {
  const effect = { again: 0, skipped: 0 }
  for (const { partition, position } of positions) {
    const to = offsets.get(partition)
    if (to === undefined) continue
    if (to < position) effect.again += position - to
    else effect.skipped += to - position
  }
  return effect
}

/** The first offsets that a topic still has, or those that its next records get. */
export const edgesOf = (topic: Topic, edge: 'earliest' | 'latest'): Map<number, number> =>
  new Map(topic.status.partitions.map((partition) => [partition.partition, edge === 'earliest' ? partition.startOffset : partition.endOffset]))
