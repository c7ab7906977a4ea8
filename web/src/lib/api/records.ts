// The records of a topic: read, searched on the server, and counted over time.
import { at, callIfThere, lines, search } from './client'
import type { RecordsQuery, TopicRate, TopicRecord } from './types'

export type ReadRecord = TopicRecord & { keyBase64?: string; errorByte?: number | null }

export interface ScanProgress {
  scanned: number
  matched: number
  undecoded: number
  of: number
  isDone: boolean
  /** Why it ended: enough were found, enough were looked at, or there are no more. */
  end?: 'limit' | 'scan' | 'end'
}

export type RecordLine = ReadRecord | { progress: ScanProgress }

export const readRecords = (topic: string, query: RecordsQuery, signal: AbortSignal) =>
  lines<RecordLine>(`/topics/${at(topic)}/records${search(query)}`, signal)

export const isRecord = (line: RecordLine): line is ReadRecord => 'partition' in line

/** `null` from a server that does not count. */
export const readRate = (topic: string, query: { from?: string; to?: string; buckets?: number }, signal?: AbortSignal) =>
  callIfThere<TopicRate>(`/topics/${at(topic)}/rate${search(query)}`, { signal })
