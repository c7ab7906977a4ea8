// Who is logged in and what they may do. A server without accounts lets everybody do everything.
import { session, toProblem, type Session } from './api'
import { toasts } from './toast.svelte'
import { t } from './i18n'

class Account {
  session = $state.raw<Session | null>(null)
  mustLogIn = $state(false)

  constructor() {
    addEventListener('session-ended', () => {
      if (this.session?.user) toasts.fail(new Error(t.errors.sessionEnded))
      this.mustLogIn = this.session !== null
      void this.load()
    })
  }

  async load(): Promise<void> {
    try {
      this.session = await session.get()
      this.mustLogIn = this.session !== null && this.session.user === null
    } catch (error) {
      // A server that is down is said by the page that asks it for something.
      if (toProblem(error).status === 401) this.mustLogIn = true
    }
  }

  /** Whether a button has a point; the server decides in the end. */
  may(permission: string): boolean {
    return this.session === null || this.session.permissions.includes(permission)
  }

  async logout(): Promise<void> {
    await session.logout()
    await this.load()
  }
}

export const account = new Account()
