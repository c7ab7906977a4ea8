// `/query` as InfluxDB 1.6 answers it, for a server that does not have it yet: its forms, with numbers that a formula gives.
import type { Page, Route } from '@playwright/test'
import { api } from './people'

const STATUSES = ['AVAILABLE', 'OFFLINE', 'ON_TRIP']
const CELLS = Array.from({ length: 60 }, (_, index) => String(3_344_474_400_000_000_000n + BigInt(index) * 2_147_483_648n))
const VALUES: Record<string, string[]> = { driver_status: STATUSES, s2id: CELLS }

/** Puts the stand-in before the page if the server has no `/query` of its own; says whether it did. */
export async function withInflux(page: Page): Promise<boolean> {
  const server = await api()
  const answer = await server.get('/query', { params: { q: 'SHOW DATABASES' } })
  const isThere = (answer.headers()['content-type'] ?? '').startsWith('application/json')
  await server.dispose()
  if (!isThere) await page.route(/\/query\?/, stand)
  return !isThere
}

async function stand(route: Route): Promise<void> {
  const query = new URL(route.request().url()).searchParams.get('q') ?? ''
  const fail = (error: string) => route.fulfill({ status: 400, json: { error } })
  const form = /\bFORM\b/.exec(query)
  if (form) return fail(`error parsing query: found FORM, expected FROM at line 1, char ${form.index + 1}`)
  const unknown = /\b(sums)\(/.exec(query)
  if (unknown) return fail(`error parsing query: undefined function ${unknown[1]}()`)
  if (query.includes('drivrs')) return route.fulfill({ json: { results: [{ statement_id: 0 }] } })
  const step = Number(/time\((\d+)s\)/.exec(query)?.[1] ?? 60) * 1000
  const past = Number(/now\(\) - (\d+)s/.exec(query)?.[1] ?? 900) * 1000
  const groups = /GROUP BY (.*?)(?: fill|$)/.exec(query)?.[1]?.split(',').map((part) => part.trim()).filter((part) => part in VALUES) ?? []
  const sets = groups.reduce<Record<string, string>[]>((all, tag) => all.flatMap((set) => (VALUES[tag] ?? []).map((value) => ({ ...set, [tag]: value }))), [{}])
  const end = Math.floor(Date.now() / step) * step
  const times = Array.from({ length: Math.ceil(past / step) + 1 }, (_, index) => end - past + index * step)
  const value = (set: number, at: number) => (at > Date.now() - 60_000 ? null : Math.round(((200 + 60 * Math.sin(at / 400_000 + set)) / (1 + set / 3)) * (step / 60_000)))
  const series = sets.map((tags, index) => ({
    name: 'driver_count_demo', ...(groups.length > 0 ? { tags } : {}), columns: ['time', 'sum_drivers'], values: times.map((at) => [at, value(index, at)]),
  }))
  return route.fulfill({ json: { results: [{ statement_id: 0, series }] } })
}
