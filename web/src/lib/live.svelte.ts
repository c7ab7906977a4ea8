// Something that is asked for, and asked for again while somebody looks.
import { onServerEvent } from './events'
import { isAbort, toProblem, type Problem } from './api/client'

export interface LiveOptions {
  /** Milliseconds between two questions; without it there is one. A function is asked anew each time. */
  every?: number | (() => number)
}

/**
 * Keeps the last good answer when a later question fails, so that a page stays readable, and says so by `problem`.
 * `ask` is run inside an effect: what it reads synchronously makes it ask anew.
 */
export class Live<T> {
  data = $state.raw<T | undefined>(undefined)
  problem = $state.raw<Problem | null>(null)
  /** When the last good answer came. */
  at = $state(0)
  isPaused = $state(false)
  /** True after 150 ms without a first answer: only then is it worth showing that something loads. */
  isSlow = $state(false)
  #ask: (signal: AbortSignal) => Promise<T>
  #asking: AbortController | null = null
  #everyOf: LiveOptions['every']
  #timer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #alive = true

  constructor(ask: (signal: AbortSignal) => Promise<T>, options: LiveOptions = {}) {
    this.#ask = ask
    this.#everyOf = options.every
    $effect(() => {
      this.#alive = true
      void this.#run(true)
      const wake = () => {
        if (!document.hidden && this.#every && !this.isPaused) this.refresh()
      }
      document.addEventListener('visibilitychange', wake)
      addEventListener('online', wake)
      const deaf = onServerEvent(() => {
        // Not more often than the page would ask by itself when a busy server changes all the time.
        if (Date.now() - this.at > 700) wake()
      })
      return () => {
        this.#alive = false
        document.removeEventListener('visibilitychange', wake)
        removeEventListener('online', wake)
        deaf()
        clearTimeout(this.#timer)
        this.#asking?.abort()
      }
    })
  }

  get #every(): number | undefined {
    return typeof this.#everyOf === 'function' ? this.#everyOf() : this.#everyOf
  }

  get isLoading(): boolean {
    return this.data === undefined && this.problem === null
  }

  refresh(): void {
    void this.#run(false)
  }

  pause(isPaused: boolean): void {
    this.isPaused = isPaused
    clearTimeout(this.#timer)
    if (!isPaused) this.refresh()
  }

  async #run(isNew: boolean): Promise<void> {
    clearTimeout(this.#timer)
    this.#asking?.abort()
    const asking = new AbortController()
    this.#asking = asking
    const slow = isNew ? setTimeout(() => (this.isSlow = this.data === undefined), 150) : undefined
    try {
      const data = await this.#ask(asking.signal)
      if (this.#asking !== asking || !this.#alive) return
      this.data = data
      this.problem = null
      this.at = Date.now()
      this.#failures = 0
    } catch (error) {
      if (isAbort(error) || this.#asking !== asking || !this.#alive) return
      this.problem = toProblem(error)
      this.#failures += 1
    } finally {
      clearTimeout(slow)
      if (this.#asking === asking) this.isSlow = false
    }
    const every = this.#every
    if (!every || !this.#alive || this.isPaused) return
    // A server that does not answer is asked less and less often, but never given up.
    const wait = Math.min(every * 2 ** Math.min(this.#failures, 4), 15_000)
    this.#timer = setTimeout(() => (document.hidden ? undefined : this.refresh()), Math.max(wait, every))
  }
}
