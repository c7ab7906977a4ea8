// Which page an address is. Every page but the first is a file of its own, loaded when it is opened.
import type { Component } from 'svelte'
import { match, type Params } from '$lib/router.svelte'
import { t } from '$lib/i18n'

export type Section = 'home' | 'daggers' | 'firehoses' | 'explore' | 'topics' | 'schemas' | 'deadLetters' | 'settings'
// Pages that need no params do not name them.
type PageModule = { default: Component<{ params: Params }> | Component }

interface Route {
  pattern: string
  section: Section
  load: () => Promise<PageModule>
  /** What stands after the section in the line of where one is. */
  trail?: (params: Params) => string[]
}

const routes: Route[] = [
  { pattern: '', section: 'home', load: () => import('./pages/Home.svelte') },
  { pattern: '/daggers', section: 'daggers', load: () => import('./pages/Daggers.svelte') },
  { pattern: '/daggers/new', section: 'daggers', load: () => import('./pages/DaggerForm.svelte'), trail: () => [t.form.newTitle] },
  { pattern: '/daggers/:name', section: 'daggers', load: () => import('./pages/Dagger.svelte'), trail: (p) => [p.name ?? ''] },
  { pattern: '/daggers/:name/edit', section: 'daggers', load: () => import('./pages/DaggerForm.svelte'), trail: (p) => [p.name ?? '', t.daggers.edit] },
  { pattern: '/firehoses', section: 'firehoses', load: () => import('./pages/Firehoses.svelte') },
  { pattern: '/firehoses/new', section: 'firehoses', load: () => import('./pages/FirehoseForm.svelte'), trail: () => [t.firehoseForm.newTitle] },
  { pattern: '/firehoses/:name', section: 'firehoses', load: () => import('./pages/Firehose.svelte'), trail: (p) => [p.name ?? ''] },
  { pattern: '/firehoses/:name/edit', section: 'firehoses', load: () => import('./pages/FirehoseForm.svelte'), trail: (p) => [p.name ?? '', t.daggers.edit] },
  { pattern: '/explore', section: 'explore', load: () => import('./pages/Explore.svelte') },
  { pattern: '/topics', section: 'topics', load: () => import('./pages/Topics.svelte') },
  { pattern: '/topics/:name', section: 'topics', load: () => import('./pages/Topic.svelte'), trail: (p) => [p.name ?? ''] },
  { pattern: '/schemas', section: 'schemas', load: () => import('./pages/Schemas.svelte') },
  { pattern: '/schemas/:name', section: 'schemas', load: () => import('./pages/Schemas.svelte'), trail: (p) => [p.name ?? ''] },
  { pattern: '/dead-letters', section: 'deadLetters', load: () => import('./pages/DeadLetters.svelte') },
  { pattern: '/dead-letters/:id', section: 'deadLetters', load: () => import('./pages/DeadLetter.svelte'), trail: (p) => [p.id ?? ''] },
  { pattern: '/settings', section: 'settings', load: () => import('./pages/Settings.svelte') },
]

export interface Found {
  /** Two addresses of the same key are the same page, which then only reads its query anew. */
  key: string
  /** An address at which nothing is belongs nowhere. */
  section: Section | null
  params: Params
  trail: string[]
  load: Route['load']
}

// One promise per page, so that going back to one does not flicker.
const loaded = new Map<Route, Promise<PageModule>>()

export function find(path: string): Found {
  for (const route of routes) {
    const params = match(route.pattern, path)
    if (!params) continue
    const load = () => {
      const known = loaded.get(route) ?? route.load()
      loaded.set(route, known)
      // A file that could not be fetched is asked for again the next time.
      known.catch(() => loaded.delete(route))
      return known
    }
    const isSchemas = route.section === 'schemas'
    return { key: isSchemas ? 'schemas' : path, section: route.section, params, trail: route.trail?.(params) ?? [], load }
  }
  return { key: path, section: null, params: {}, trail: [], load: () => import('./pages/NotFound.svelte') }
}
