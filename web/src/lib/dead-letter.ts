// Whose a dead letter is: a dagger's or a firehose's.
import type { DeadLetter } from './api'

export const isOfFirehose = (letter: DeadLetter) => letter.id.startsWith('firehose:')
export const ownerOf = (letter: DeadLetter) => letter.dagger
/** A row of a result is no record of a topic: there is nothing that could be mended. */
export const canMend = (letter: DeadLetter) => isOfFirehose(letter) || letter.kind !== 'undeliverable'
