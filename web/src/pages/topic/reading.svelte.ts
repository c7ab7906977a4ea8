// One reading of a topic: bounded or following, can be stopped, and says how far it is.
import { isAbort, isRecord, toProblem, topics, type Problem, type ReadRecord, type RecordsQuery, type ScanProgress } from '$lib/api'

export interface Ask {
  topic: string
  query: RecordsQuery
  /** Which records come first on the page. */
  order: 'newest' | 'oldest'
  /** So many stay on the page. */
  kept: number
}

/** Records that come together are shown together: a busy topic would draw the page a thousand times a second. */
const SHOW_EVERY_MS = 250
const AGAIN_MS = 3000

export const idOf = (record: ReadRecord) => `${record.partition}/${record.offset}`

export class Reading {
  records = $state.raw<ReadRecord[]>([])
  progress = $state.raw<ScanProgress | null>(null)
  problem = $state.raw<Problem | null>(null)
  isReading = $state(false)
  isPaused = $state(false)
  /** Somebody has stopped it before its end. */
  isStopped = $state(false)
  tookMs = $state(0)
  /** How many a tail has brought, shown or not. */
  received = $state(0)
  #attempt = $state(0)
  #abort: AbortController | null = null
  #waiting: ReadRecord[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  /** `ask` is run inside an effect: what it reads makes it read anew. */
  constructor(ask: () => Ask) {
    $effect(() => {
      void this.#attempt
      const asked = ask()
      const abort = new AbortController()
      this.#begin(abort)
      void this.#read(asked, abort)
      return () => this.#end(abort)
    })
  }

  again(): void {
    this.#attempt++
  }

  stop(): void {
    this.isStopped = this.isReading
    this.#abort?.abort()
  }

  /** What comes meanwhile is kept, and shown when it goes on. */
  pause(isPaused: boolean): void {
    this.isPaused = isPaused
  }

  #begin(abort: AbortController): void {
    this.#abort = abort
    this.#waiting = []
    this.records = []
    this.progress = null
    this.problem = null
    this.isReading = true
    this.isPaused = false
    this.isStopped = false
    this.tookMs = 0
    this.received = 0
  }

  #end(abort: AbortController): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    abort.abort()
  }

  async #read(asked: Ask, abort: AbortController): Promise<void> {
    const begun = performance.now()
    try {
      for await (const lines of topics.records(asked.topic, asked.query, abort.signal)) {
        if (abort.signal.aborted) break
        this.tookMs = performance.now() - begun
        const found = lines.filter(isRecord)
        this.#waiting.push(...found)
        this.received += found.length
        for (const line of lines) if (!isRecord(line)) this.progress = line.progress
        this.#timer ??= setTimeout(() => this.#show(asked), SHOW_EVERY_MS)
      }
    } catch (error) {
      if (this.#abort === abort && !isAbort(error)) this.#failed(toProblem(error), asked, abort)
    }
    if (this.#abort !== abort) return
    this.isReading = false
    this.#show(asked)
    abort.abort()
  }

  #failed(problem: Problem, asked: Ask, abort: AbortController): void {
    this.problem = problem
    // A tail that broke goes on by itself.
    if (asked.query.follow && problem.isOffline) setTimeout(() => this.#abort === abort && !this.isStopped && this.again(), AGAIN_MS)
  }

  #show(asked: Ask): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.isPaused) {
      this.#waiting = this.#waiting.slice(-asked.kept)
      if (this.isReading) this.#timer = setTimeout(() => this.#show(asked), SHOW_EVERY_MS)
      return
    }
    if (this.#waiting.length === 0) return
    const sign = asked.order === 'newest' ? -1 : 1
    this.records = [...this.records, ...this.#waiting]
      .sort((a, b) => sign * (Date.parse(a.timestamp) - Date.parse(b.timestamp) || a.partition - b.partition || a.offset - b.offset))
      .slice(0, asked.kept)
    this.#waiting = []
  }
}
