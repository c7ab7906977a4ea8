// How the rows of a result get to a topic on a Kafka cluster.
import type { OnKafka } from './api'

export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** What the server takes when nothing is written. */
export const CHECKPOINT_DEFAULT = '10s'
export const DELIVERY_DEFAULT = 'exactlyOnce'
export const COMPRESSION_DEFAULT = 'lz4'

/** Empty is what the server does by itself; an empty cluster is the log that is built in, or where the topic is already. */
export interface SinkPlace {
  cluster: string
  delivery: string
  compression: string
}

export const sinkPlaceOf = (sink?: OnKafka): SinkPlace => ({ cluster: sink?.cluster ?? '', delivery: sink?.delivery ?? '', compression: sink?.compression ?? '' })

export const onKafka = (place: SinkPlace): OnKafka => Object.fromEntries(Object.entries(place).filter(([, value]) => value !== ''))
