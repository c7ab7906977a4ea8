// Who the tests are: accounts made with the admin token of the server, each named by what it may do.
import { request, type APIRequestContext } from '@playwright/test'
import { fileURLToPath } from 'node:url'

export const TOKEN = process.env.MILLRACE_ADMIN_TOKEN ?? ''
export const PASSWORD = 'correct horse battery'
/** A group of the analyst's own, beside the one in which the demo city runs. */
export const LAB = 'lab'

export const NOBODY = { cookies: [], origins: [] }

/** Where the cookies of somebody who is logged in are kept between the files of tests. */
export const stateOf = (name: 'admin' | 'analyst' | 'reader') => fileURLToPath(new URL(`./.state/${name}.json`, import.meta.url))

/** The API with the admin's token: to prepare and to clean up, never for what a test is about. */
export function api(): Promise<APIRequestContext> {
  const baseURL = process.env.MILLRACE_URL ?? 'http://127.0.0.1:8080'
  return request.newContext({ baseURL, storageState: NOBODY, ...(TOKEN ? { extraHTTPHeaders: { authorization: `Bearer ${TOKEN}` } } : {}) })
}

export async function remove(...paths: string[]): Promise<void> {
  const server = await api()
  for (const path of paths) await server.delete(`/api/v1/${path}`)
  await server.dispose()
}
