// Short notes at the edge of the page: what was done, and what could not be.
import { toProblem } from './api/client'

export interface Toast {
  id: number
  text: string
  hint?: string | undefined
  isBad: boolean
  action?: { label: string; run: () => void } | undefined
}

class Toasts {
  items = $state<Toast[]>([])
  #next = 1

  say(text: string, action?: Toast['action']): void {
    this.#add({ id: this.#next++, text, isBad: false, action }, action ? 8000 : 4000)
  }

  fail(error: unknown): void {
    const problem = toProblem(error)
    this.#add({ id: this.#next++, text: problem.detail, hint: problem.hint, isBad: true }, 12_000)
  }

  close(id: number): void {
    this.items = this.items.filter((item) => item.id !== id)
  }

  #add(toast: Toast, ms: number): void {
    this.items = [...this.items.slice(-2), toast]
    setTimeout(() => this.close(toast.id), ms)
  }
}

export const toasts = new Toasts()
