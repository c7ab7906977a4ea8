// The address is the state of a page: path and query are read from here, and changed only through here.

export interface Params {
  [name: string]: string
}

class Router {
  path = $state(location.pathname)
  query = $state(new URLSearchParams(location.search))
  /** Grows with every move to another page, so that a page can be made anew. */
  #guards = new Set<() => string | null>()

  constructor() {
    history.scrollRestoration = 'manual'
    addEventListener('popstate', () => {
      this.#read()
      const top: unknown = history.state?.top
      requestAnimationFrame(() => scrollTo(0, typeof top === 'number' ? top : 0))
    })
    addEventListener('scrollend', () => history.replaceState({ ...history.state, top: scrollY }, ''))
    addEventListener('beforeunload', (event) => {
      if (this.#unsaved()) event.preventDefault()
    })
    document.addEventListener('click', (event) => this.#click(event))
  }

  /** Goes to an address of this site. */
  go(href: string, options: { replace?: boolean; force?: boolean } = {}): void {
    const to = new URL(href, location.href)
    const question = options.force ? null : to.pathname !== location.pathname ? this.#unsaved() : null
    if (question && !confirm(question)) return
    const samePage = to.pathname === location.pathname
    if (to.href === location.href) return
    if (options.replace) history.replaceState(history.state, '', to)
    else history.pushState({ top: 0 }, '', to)
    this.#read()
    if (!samePage) scrollTo(0, 0)
  }

  /** Changes parts of the query; `null` and the empty text take a part out. */
  set(patch: Record<string, string | null>, options: { push?: boolean } = {}): void {
    const query = new URLSearchParams(location.search)
    for (const [key, value] of Object.entries(patch)) {
      if (value === null || value === '') query.delete(key)
      else query.set(key, value)
    }
    const text = query.toString()
    this.go(location.pathname + (text ? `?${text}` : ''), { replace: !options.push })
  }

  get(key: string): string {
    return this.query.get(key) ?? ''
  }

  /** The question returned before a page with unsaved work is left; call the result to stop asking. */
  guard(question: () => string | null): () => void {
    this.#guards.add(question)
    return () => this.#guards.delete(question)
  }

  #unsaved(): string | null {
    for (const guard of this.#guards) {
      const question = guard()
      if (question) return question
    }
    return null
  }

  #read(): void {
    this.path = location.pathname
    this.query = new URLSearchParams(location.search)
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element | null)?.closest?.('a')
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return
    event.preventDefault()
    this.go(link.href)
  }
}

export const router = new Router()

/** `/daggers/:name` against a path; names may hold anything, as they are decoded. */
export function match(pattern: string, path: string): Params | null {
  const wanted = pattern.split('/')
  const given = path.replace(/\/+$/, '').split('/')
  if (wanted.length !== given.length) return null
  const params: Params = {}
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? ''
    if (part.startsWith(':')) params[part.slice(1)] = decodeURIComponent(value)
    else if (part !== value) return null
  }
  return params
}

export function href(path: string, query: Record<string, string | null | undefined> = {}): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value) search.set(key, value)
  const text = search.toString()
  return text ? `${path}?${text}` : path
}

export const to = {
  dagger: (name: string, query = {}) => href(`/daggers/${encodeURIComponent(name)}`, query),
  editDagger: (name: string) => `/daggers/${encodeURIComponent(name)}/edit`,
  newDagger: (query = {}) => href('/daggers/new', query),
  firehose: (name: string, query = {}) => href(`/firehoses/${encodeURIComponent(name)}`, query),
  editFirehose: (name: string) => `/firehoses/${encodeURIComponent(name)}/edit`,
  newFirehose: (query = {}) => href('/firehoses/new', query),
  topic: (name: string, query = {}) => href(`/topics/${encodeURIComponent(name)}`, query),
  schema: (name: string) => `/schemas/${encodeURIComponent(name)}`,
  deadLetters: (query = {}) => href('/dead-letters', query),
  explore: (sql: string) => href('/explore', { q: sql }),
}
