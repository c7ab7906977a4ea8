// A server of its own with the demo city, for tests that need names which the others' server has taken.
import { expect, request, type APIRequestContext } from '@playwright/test'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { NOBODY, PASSWORD, TOKEN } from './people'

const BINARY = process.env.MILLRACE_BINARY ?? fileURLToPath(new URL('../../target/release/millrace', import.meta.url))
const STARTS_WITHIN_MS = 60_000

export interface OwnServer {
  url: string
  /** The API with the admin's token. */
  api: () => Promise<APIRequestContext>
  stop: () => Promise<void>
}

async function firstLine(process: ChildProcess): Promise<string> {
  if (!process.stdout) throw new Error('the server has no output')
  const lines = createInterface({ input: process.stdout })
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the server did not start within ${STARTS_WITHIN_MS} ms`)), STARTS_WITHIN_MS)
    lines.once('line', (line) => { clearTimeout(timer); resolve(line.trim()) })
    process.once('error', (error) => { clearTimeout(timer); reject(error) })
    process.once('exit', (code) => { clearTimeout(timer); reject(new Error(`the server ended with ${code}`)) })
  })
}

/** Starts a server with the demo city; `arguments_` are more of the command line. */
export async function start(...arguments_: string[]): Promise<OwnServer> {
  if (!TOKEN) throw new Error('MILLRACE_ADMIN_TOKEN is not set: run `scripts/e2e.sh`')
  const directory = await mkdtemp(join(tmpdir(), 'millrace-e2e-'))
  const server = spawn(BINARY, ['up', '--demo', '--data-dir', join(directory, 'data'), '--listen', '127.0.0.1:0', ...arguments_], { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  const stop = async () => {
    server.kill()
    await ended
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const url = await firstLine(server)
    return { url, stop, api: () => request.newContext({ baseURL: url, storageState: NOBODY, extraHTTPHeaders: { authorization: `Bearer ${TOKEN}` } }) }
  } catch (error) {
    server.kill()
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

/** Invites somebody who may edit in the group of the demo city; returns the cookies of their session. */
export async function login(server: OwnServer, name: string) {
  const admin = await server.api()
  const made = await admin.post('/api/v1/users', { data: { name, displayName: name, admin: false } })
  expect(made.status(), await made.text()).toBe(201)
  const { invitation } = (await made.json()) as { invitation: string }
  expect((await admin.post('/api/v1/groups/default/members', { data: { user: name, role: 'editor' } })).status()).toBe(204)
  await admin.dispose()
  const person = await request.newContext({ baseURL: server.url, storageState: NOBODY })
  const accepted = await person.post('/api/v1/session/invitation', { data: { invitation, password: PASSWORD } })
  expect(accepted.ok(), await accepted.text()).toBe(true)
  const state = await person.storageState()
  await person.dispose()
  // The tour offers itself to whoever is new.
  return { ...state, origins: [{ origin: server.url, localStorage: [{ name: 'tour', value: 'done' }] }] }
}
