// Keys that hold on every page. A page adds its own with `bind`.
import { router } from './router.svelte'

class Keys {
  isPaletteOpen = $state(false)
  isHelpOpen = $state(false)
  isTourOpen = $state(false)
  #prefix = ''
  #prefixTimer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    addEventListener('keydown', (event) => this.#press(event))
  }

  #press(event: KeyboardEvent): void {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      this.isPaletteOpen = !this.isPaletteOpen
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector('dialog[open]')) return
    if (this.#prefix === 'g') {
      const page = GO[event.key]
      this.#setPrefix('')
      if (page) {
        event.preventDefault()
        router.go(page)
      }
      return
    }
    switch (event.key) {
      case 'g': return this.#setPrefix('g')
      case '?': this.isHelpOpen = true; break
      case '/': {
        const search = document.querySelector<HTMLInputElement>('[data-search]')
        if (!search) return
        search.focus()
        search.select()
        break
      }
      case 'j': case 'k': moveRow(event.key === 'j' ? 1 : -1); break
      case 'Enter': case 'o': {
        if (event.target instanceof Element && event.target.closest('a, button, summary, [role=tab]')) return
        const row = document.querySelector<HTMLElement>('[data-row][data-active="true"]')
        if (!row) return
        row.querySelector<HTMLElement>('[data-open]')?.click()
        break
      }
      case 'x': {
        const box = document.querySelector<HTMLInputElement>('[data-row][data-active="true"] input[type=checkbox]')
        if (!box) return
        box.click()
        break
      }
      case 'n': {
        const make = document.querySelector<HTMLElement>('[data-new]')
        if (!make) return
        make.click()
        break
      }
      default: return
    }
    event.preventDefault()
  }

  #setPrefix(prefix: string): void {
    this.#prefix = prefix
    clearTimeout(this.#prefixTimer)
    if (prefix) this.#prefixTimer = setTimeout(() => (this.#prefix = ''), 1200)
  }
}

export const GO: Record<string, string> = {
  h: '/', d: '/daggers', f: '/firehoses', e: '/explore', t: '/topics', s: '/schemas', l: '/dead-letters', c: '/settings',
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
    !(target instanceof HTMLInputElement && /^(checkbox|radio|range|button)$/.test(target.type))
}

function moveRow(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')]
  if (rows.length === 0) return
  const current = rows.findIndex((row) => row.dataset.active === 'true')
  const next = Math.min(rows.length - 1, Math.max(0, current < 0 ? 0 : current + step))
  for (const row of rows) delete row.dataset.active
  const row = rows[next]
  if (!row) return
  row.dataset.active = 'true'
  row.scrollIntoView({ block: 'nearest' })
  row.querySelector<HTMLElement>('[data-open]')?.focus({ preventScroll: true })
}

export const keys = new Keys()
