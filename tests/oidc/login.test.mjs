// Logging in by a real identity provider, as a browser does it: follow every redirect, keep every cookie.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startProvider } from './provider.mjs'

const BINARY = process.env.MILLRACE ?? new URL('../../target/release/millrace', import.meta.url).pathname
const TOKEN = 'token-of-the-tests-0123456789'
const people = {
  editor: { preferred_username: 'editor@example.org', name: 'An Editor', groups: ['team-rides', 'other'] },
  operator: { preferred_username: 'operator', name: 'An Operator', groups: ['platform'] },
  admin: { preferred_username: 'admin', name: 'Somebody Else', groups: ['platform'] },
}
let base, directory, provider, server

const freePort = () => new Promise((found) => {
  const probe = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address()
    probe.close(() => found(port))
  })
})

before(async () => {
  const [port, providerPort] = [await freePort(), await freePort()]
  base = `http://127.0.0.1:${port}`
  provider = await startProvider(providerPort, `${base}/api/v1/session/oidc/company/callback`, people)
  directory = await mkdtemp(join(tmpdir(), 'millrace-oidc-'))
  await writeFile(join(directory, 'secret'), 'the client secret\n')
  await writeFile(join(directory, 'oidc.yaml'), `name: company
label: Company login
issuer: http://127.0.0.1:${providerPort}
clientId: millrace
clientSecretFile: secret
scopes: [profile, email, groups]
groups:
  team-rides: {group: rides, role: editor}
  platform: {platformAdmin: true}
`)
  server = spawn(BINARY, ['up', '--data-dir', join(directory, 'data'), '--listen', `127.0.0.1:${port}`, '--oidc', join(directory, 'oidc.yaml')], {
    env: { ...process.env, MILLRACE_ADMIN_TOKEN: TOKEN }, stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((ready, failed) => {
    server.stdout.once('data', ready)
    server.once('exit', () => failed(new Error('the server did not start')))
  })
  const made = await admin('POST', '/api/v1/groups', { name: 'rides' })
  assert.equal(made.status, 201)
})

after(async () => {
  server?.kill()
  provider?.closeAllConnections()
  provider?.close()
  if (directory) await rm(directory, { recursive: true })
})

const admin = (method, path, body) => fetch(base + path, { method, headers: { authorization: `Bearer ${TOKEN}` }, body: body && JSON.stringify(body) })

/** One browser. Cookies go to every server of this machine, as they do in a browser, which does not tell ports apart. */
class Browser {
  cookies = new Map()

  async open(url) {
    const headers = { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const response = await fetch(url, { redirect: 'manual', headers })
    for (const cookie of response.headers.getSetCookie()) {
      const [pair, ...rest] = cookie.split(';')
      const [name, ...value] = pair.split('=')
      const isGone = rest.some((part) => /^\s*(max-age=0|expires=Thu, 01 Jan 1970)/i.test(part))
      if (isGone) this.cookies.delete(name)
      else this.cookies.set(name, value.join('='))
    }
    return response
  }

  /** Follows redirects until `stop` takes an address, or a page is shown. */
  async follow(url, stop = () => false) {
    for (let hops = 0; hops < 20; hops++) {
      const response = await this.open(url)
      const to = response.headers.get('location')
      if (!to) return { url, response }
      url = new URL(to, url).href
      if (stop(url)) return { url }
    }
    throw new Error(`no end of redirects at ${url}`)
  }

  /** From the button of the login page to the address that the browser ends at. */
  async logIn(person, next = '/daggers') {
    const chosen = await this.toProvider(next)
    return this.follow(`${chosen.url}?user=${person}`, (url) => url.startsWith(base) && !url.includes('/api/'))
  }

  toProvider = (next = '/') => this.follow(`${base}/api/v1/session/oidc/company?next=${encodeURIComponent(next)}`)

  session = async () => (await this.open(`${base}/api/v1/session`)).json()
}

test('the login page offers it', async () => {
  const { login } = await new Browser().session()
  assert.deepEqual(login.oidc, [{ name: 'company', label: 'Company login', url: '/api/v1/session/oidc/company' }])
})

test('groups of the provider become roles, and go with it', async () => {
  const browser = new Browser()
  const ended = await browser.logIn('editor')
  assert.equal(ended.url, `${base}/daggers`)
  let session = await browser.session()
  assert.deepEqual(session.user, { name: 'editor', displayName: 'An Editor', admin: false })
  assert.deepEqual(session.permissions['write:daggers'], ['rides'])
  people.editor.groups = []
  await browser.logIn('editor')
  session = await browser.session()
  assert.deepEqual(session.permissions['write:daggers'], [])
})

test('a group can be the admins of the platform', async () => {
  const browser = new Browser()
  await browser.logIn('operator')
  assert.equal((await browser.session()).user.admin, true)
})

test('a name that belongs to somebody else does not open their account', async () => {
  const browser = new Browser()
  const ended = await browser.logIn('admin')
  assert.match(decodeURIComponent(ended.url), /\/login\?problem=.*belongs to another account/)
  assert.equal((await browser.session()).user, null)
})

test('a login ends in the browser that began it, once, and only here', async () => {
  const browser = new Browser()
  const chosen = await browser.toProvider()
  const callback = await browser.follow(`${chosen.url}?user=operator`, (url) => url.startsWith(`${base}/api/`))
  const stranger = await new Browser().follow(callback.url, (url) => url.includes('/login'))
  assert.match(decodeURIComponent(stranger.url), /another browser/)
  const own = await browser.follow(callback.url, (url) => !url.includes('/api/'))
  assert.equal(own.url, `${base}/`)
  const again = await browser.follow(callback.url, (url) => !url.includes('/api/'))
  assert.match(decodeURIComponent(again.url), /\/login\?problem=/)
  // Whoever writes the link does not choose where it ends.
  const away = new Browser()
  assert.equal((await away.logIn('operator', '//elsewhere.example')).url, `${base}/`)
})

test('what the provider refuses is said on the login page', async () => {
  const browser = new Browser()
  await browser.toProvider()
  const ended = await browser.follow(`${base}/api/v1/session/oidc/company/callback?error=access_denied&error_description=no+thanks`, (url) => url.includes('/login'))
  assert.match(decodeURIComponent(ended.url), /access_denied: no thanks/)
})
