// Lists from a server that pages, and from one that sends everything: the same for the page that shows them.
import type { ListQuery, Page } from './api'

export interface Listed<T> {
  items: T[]
  total: number
  /** How many there are without any filter; unknown when the server filters. */
  all?: number
}

export interface LocalRules<T> {
  matches: (item: T, query: ListQuery) => boolean
  /** By the name of the sorting, which may begin with `-`. */
  value: (item: T, sort: string) => string | number
}

export function paged<T>(page: Page<T>, query: ListQuery, rules: LocalRules<T>): Listed<T> {
  if (typeof page.total === 'number') return { items: page.items, total: page.total }
  const found = page.items.filter((item) => rules.matches(item, query))
  const sort = query.sort ?? 'name'
  const key = sort.replace(/^-/, '')
  const sign = sort.startsWith('-') ? -1 : 1
  found.sort((a, b) => {
    const [x, y] = [rules.value(a, key), rules.value(b, key)]
    return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'en', { numeric: true }))
  })
  const offset = query.offset ?? 0
  return { items: found.slice(offset, offset + (query.limit ?? found.length)), total: found.length, all: page.items.length }
}

export const includes = (text: string | null | undefined, search: string) => !!text?.toLowerCase().includes(search.toLowerCase())
