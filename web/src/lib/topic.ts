// What can be told from a topic as the server sends it.
import type { Topic } from './api'

/** The log that is built in. */
export const EMBEDDED = 'embedded'
export const ENCODINGS = ['protobuf', 'confluent', 'confluentHeader', 'json'] as const

/** The Kafka cluster that the records lie in; empty for the built-in log. */
export const clusterOf = (topic: Topic) => (topic.spec.cluster && topic.spec.cluster !== EMBEDDED ? topic.spec.cluster : '')
/** Clusters of Kafka do not tell how many bytes a topic has. */
export const bytesOf = (topic: Topic) => (clusterOf(topic) ? null : topic.status.bytes)
