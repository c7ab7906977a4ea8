// The records of a topic: read, searched on the server, and counted over time.
import { at, callIfThere, lines, search } from './client'
import type { TopicRecord } from './types'

export interface RecordsQuery {
  /** `earliest`, `latest` or a time; without it the newest are read, from the end backwards. */
  from?: string
  partition?: number
  offset?: number
  /** So many records are sent at most. */
  limit?: number
  /** So many records are looked at, at most. */
  scan?: number
  follow?: boolean
  /** A condition in SQL over the fields of the message. */
  where?: string
  text?: string
  progress?: boolean
  /** Every record also as the bytes that it is. */
  raw?: boolean
}

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

/** Records per step, by their timestamps. */
export interface TopicRate {
  from: string
  to: string
  stepMs: number
  counts: number[]
  earliest: string | null
  latest: string | null
}

/** `null` from a server that does not count. */
export const readRate = (topic: string, query: { from?: string; to?: string; buckets?: number }, signal?: AbortSignal) =>
  callIfThere<TopicRate>(`/topics/${at(topic)}/rate${search(query)}`, { signal })
