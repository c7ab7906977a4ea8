// What the form makes of the first records of the topic: asked a moment after the last change. Nothing is written.
import { isAbort, toProblem, type Problem } from '$lib/api'
import { firehoses, type FirehoseDraft, type FirehosePreview } from '$lib/api/firehoses'

const WAIT_MS = 400

export class Trial {
  result = $state.raw<FirehosePreview | null>(null)
  problem = $state.raw<Problem | null>(null)
  /** When the shown answer came. */
  at = $state(0)
  /** When the question that has no answer yet was asked; 0 without one. */
  askedAt = $state(0)
  #asking: AbortController | null = null
  #timer: ReturnType<typeof setTimeout> | undefined

  /** `wait` is left out when somebody presses a button. */
  ask(draft: FirehoseDraft, wait = WAIT_MS): void {
    this.stop()
    this.#timer = setTimeout(() => void this.#run(draft), wait)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#asking?.abort()
    this.#asking = null
    this.askedAt = 0
  }

  async #run(draft: FirehoseDraft): Promise<void> {
    const asking = new AbortController()
    this.#asking = asking
    this.askedAt = Date.now()
    try {
      const result = await firehoses.preview(draft, asking.signal)
      if (this.#asking !== asking) return
      this.result = result
      this.problem = null
      this.at = Date.now()
    } catch (error) {
      if (this.#asking !== asking || isAbort(error)) return
      this.problem = toProblem(error)
    }
    this.askedAt = 0
  }
}
