// Who is logged in and what they may do. A server without accounts lets everybody do everything.
import { askToLogIn } from './api/client'
import { session, toProblem, type Permission, type Role, type Session } from './api'
import { t } from './i18n'

/** Windows of one browser share one session: each tells the others when somebody has logged in. */
const windows = new BroadcastChannel('millrace-session')

const AGAIN_MS = 3000

class Account {
  session = $state.raw<Session | null>(null)
  /** Nothing is shown before it is known whether somebody is logged in, or that the server does not say. */
  isKnown = $state(false)
  /** The session has ended under a page, which stays as it is while somebody logs in again. */
  hasExpired = $state(false)
  #waiting = new Set<() => void>()

  constructor() {
    askToLogIn((signal) => this.#wait(signal))
    windows.onmessage = () => {
      if (this.hasExpired || this.mustLogIn) void this.load()
    }
  }

  get mustLogIn(): boolean {
    return this.session !== null && this.session.user === null && !this.hasExpired
  }

  get user(): Session['user'] {
    return this.session?.user ?? null
  }

  /** Asked anew whenever somebody has logged in or out. */
  async load(): Promise<void> {
    const before = this.user
    try {
      const found = await session.get()
      // While somebody logs in again, the page under the dialog goes on with what it knew.
      if (this.hasExpired && found?.user === null) return
      if (before && found?.user && before.name !== found.user.name) return location.reload()
      this.session = found
      if (found?.user) this.#goOn()
    } catch (error) {
      // A server that is down is said by the page that asks it for something; here it is only asked again.
      const problem = toProblem(error)
      if (problem.isOffline) setTimeout(() => void this.load(), AGAIN_MS)
    } finally {
      this.isKnown = true
    }
  }

  async login(name: string, password: string): Promise<void> {
    await session.login(name, password)
    await this.load()
    windows.postMessage('in')
  }

  async accept(invitation: string, password: string): Promise<void> {
    await session.accept(invitation, password)
    // Whoever was logged in before, it is the invited one now.
    this.session = null
    await this.load()
    windows.postMessage('in')
  }

  /** Called by the page at which a provider's login ends in a window of its own. */
  tellOthers(): void {
    windows.postMessage('in')
  }

  async logout(): Promise<void> {
    try {
      await session.logout()
    } catch (error) {
      // Somebody whose session is over already is logged out.
      if (toProblem(error).status !== 401) throw error
    }
    await this.load()
  }

  /** Gives the page up for the login, when somebody does not want to go on as the same person. */
  leave(): void {
    this.hasExpired = false
    this.session = null
    void this.load()
  }

  /** Whether a button has a point; the server decides in the end. Without a group: anywhere at all. */
  may(permission: Permission, group?: string): boolean {
    const groups = this.groupsWith(permission)
    return groups === null || (group === undefined ? groups.length > 0 : groups.includes(group))
  }

  /** The groups in which one may; `null` is everywhere. */
  groupsWith(permission: Permission): string[] | null {
    if (this.session === null) return null
    const groups = this.session.permissions[permission]
    return groups === undefined ? [] : groups
  }

  /** Why a button is missing, and who can help; empty when it is not. */
  why(permission: Permission, group: string): string {
    if (this.may(permission, group)) return ''
    return permission === 'write:platform' ? t.access.needsPlatform : t.access.needs(t.access.roles[roleOf(permission)], group)
  }

  /** Which groups are mine: where I am a member. */
  get groups(): string[] {
    return this.session?.groups.map((group) => group.name) ?? []
  }

  #wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(resolve)
        reject(new DOMException('The page was left.', 'AbortError'))
      }
      if (signal?.aborted) return abort()
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.add(resolve)
      if (this.user) this.hasExpired = true
      else if (!this.mustLogIn) void this.load()
    })
  }

  #goOn(): void {
    this.hasExpired = false
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve()
  }
}

/** The least role that has the permission in its group. */
const roleOf = (permission: Permission): Role => (/^(find|read:records)/.test(permission) ? 'viewer' : /^(write:members|read:audit)/.test(permission) ? 'admin' : 'editor')

export const account = new Account()
