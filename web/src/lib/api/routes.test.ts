// Every question that the portal can ask is a route of the server, as the OpenAPI document tells them.
import { expect, test, vi } from 'vitest'
import document from '../../../../docs/reference/openapi.json'

// Texts come from the browser's language; here there is no browser.
vi.mock('$lib/i18n', () => ({ t: { errors: {} } }))
vi.mock('../i18n', () => ({ t: { errors: {} } }))

const routes = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => ({ method: method.toUpperCase(), pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`) })))

test('all questions have a route', async () => {
  const asked: { method: string; path: string }[] = []
  vi.stubGlobal('fetch', async (url: string, init?: RequestInit) => {
    asked.push({ method: init?.method ?? 'GET', path: url.split('?')[0] ?? '' })
    return new Response('{"items":[],"rows":[]}', { headers: { 'content-type': 'application/json' } })
  })
  const api = await import('./index')
  const groups = Object.values(api).filter((part) => typeof part === 'object' && part !== null) as unknown as Record<string, (...given: unknown[]) => unknown>[]
  for (const question of groups.flatMap((group) => Object.values(group)).filter((part) => typeof part === 'function')) {
    // What is asked is all that counts: an answer that does not fit is no matter here.
    try {
      const answer: unknown = await question('x', 'y', 'z')
      if (answer && typeof answer === 'object' && Symbol.asyncIterator in answer) await (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]().next()
    } catch { /* its arguments made no sense */ }
  }
  vi.unstubAllGlobals()
  expect(asked.length).toBeGreaterThan(40)
  const missing = asked.filter(({ method, path }) => !routes.some((route) => route.method === method && route.pattern.test(path)))
  expect(missing.map(({ method, path }) => `${method} ${path}`)).toEqual([])
})
