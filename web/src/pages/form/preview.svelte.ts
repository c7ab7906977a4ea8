// A preview that goes on: the same question again each second while somebody looks, for a bounded time.
import { daggers, isAbort, toProblem, type DaggerDraft, type Preview, type Problem } from '$lib/api'

const LIVE_MS = 120_000
const EVERY_MS = 1000
/** A preview computes; however long one takes, the server rests three times as long. */
const REST_FACTOR = 3

/** Why it does not go on: nothing was asked, somebody paused or stopped it, the time is over, the query is another now, or it failed. */
export type PreviewPhase = 'idle' | 'live' | 'paused' | 'stopped' | 'over' | 'changed' | 'failed'

export class LivePreview {
  result = $state.raw<Preview | null>(null)
  problem = $state.raw<Problem | null>(null)
  phase = $state<PreviewPhase>('idle')
  /** When the question that has no answer yet was asked; 0 without one. */
  askedAt = $state(0)
  /** When the shown answer came. */
  at = $state(0)
  /** Until when it is asked again, or how much of that was left when it was paused. */
  until = $state(0)
  leftMs = $state(0)
  /** Grows with every press of Preview. */
  turn = $state(0)
  #draft: DaggerDraft | null = null
  #asking: AbortController | null = null
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    $effect(() => {
      const look = () => {
        if (!document.hidden && this.phase === 'live' && !this.askedAt) this.#next(0)
      }
      document.addEventListener('visibilitychange', look)
      return () => {
        document.removeEventListener('visibilitychange', look)
        this.#end('stopped')
      }
    })
  }

  start(draft: DaggerDraft): void {
    this.#end('live')
    this.#draft = draft
    this.problem = null
    this.until = Date.now() + LIVE_MS
    this.turn++
    void this.#ask()
  }

  stop(): void {
    this.#end(this.result ? 'stopped' : 'idle')
  }

  pause(): void {
    this.leftMs = Math.max(0, this.until - Date.now())
    this.#end('paused')
  }

  goOn(): void {
    this.until = Date.now() + this.leftMs
    this.phase = 'live'
    void this.#ask()
  }

  /** What is shown is no longer what is written. */
  queryChanged(): void {
    if (this.phase !== 'idle' && this.phase !== 'failed') this.#end('changed')
  }

  #end(phase: PreviewPhase): void {
    clearTimeout(this.#timer)
    this.#asking?.abort()
    this.#asking = null
    this.askedAt = 0
    this.phase = phase
  }

  #next(wait: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (this.phase !== 'live' || document.hidden) return
      if (Date.now() >= this.until) this.#end('over')
      else void this.#ask()
    }, wait)
  }

  async #ask(): Promise<void> {
    if (!this.#draft) return
    const asking = new AbortController()
    this.#asking = asking
    this.askedAt = Date.now()
    try {
      const result = await daggers.preview(this.#draft, asking.signal)
      if (this.#asking !== asking) return
      this.result = result
      this.at = Date.now()
      const rest = Math.max(EVERY_MS, REST_FACTOR * (this.at - this.askedAt))
      this.askedAt = 0
      this.#next(Math.min(rest, Math.max(0, this.until - this.at)))
    } catch (error) {
      if (this.#asking !== asking || isAbort(error)) return
      this.problem = toProblem(error)
      this.#end('failed')
    }
  }
}
