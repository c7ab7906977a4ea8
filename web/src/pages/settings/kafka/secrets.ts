// Passwords and keys of a cluster that is being edited. Each goes into a secret of its own, under a new name, so that a test
// never changes what a running connection uses; what is not needed in the end is deleted.
import { kafkaClusters, secrets } from '$lib/api'
import { HIDDEN, hiddenIn, toDocument, type ClusterDraft, type HiddenName } from './draft'

const SUFFIX: Record<HiddenName, string> = { password: 'password', clientSecret: 'client-secret', key: 'key', keyPassword: 'key-password' }

export class DraftSecrets {
  #made = new Set<string>()
  /** What the saved cluster uses. */
  readonly #before: string[]

  constructor(draft: ClusterDraft) {
    this.#before = HIDDEN.map((field) => draft[field].secret).filter(Boolean)
  }

  /** Writes what was typed; the draft then names the secrets. */
  async seal(draft: ClusterDraft): Promise<void> {
    for (const field of hiddenIn(draft)) {
      const held = draft[field]
      if (held.value === '' || held.value === held.sealed) continue
      const name = this.#made.has(held.secret) ? held.secret : await this.#free(`${draft.name || 'kafka'}-${SUFFIX[field]}`)
      await secrets.put(name, held.value, draft.group)
      this.#made.add(name)
      held.secret = name
      held.sealed = held.value
    }
  }

  async #free(wanted: string): Promise<string> {
    const taken = new Set([...(await secrets.list()).map((secret) => secret.name), ...this.#made])
    let name = wanted
    for (let next = 2; taken.has(name); next++) name = `${wanted}-${next}`
    return name
  }

  /** The cluster is saved: what it no longer names, and nobody else does, goes. */
  async saved(draft: ClusterDraft): Promise<void> {
    const own = JSON.stringify(toDocument(draft))
    const others = JSON.stringify((await kafkaClusters.list())?.filter((cluster) => cluster.metadata.name !== draft.name) ?? [])
    const isOurs = (name: string) => this.#made.has(name) || name.startsWith(`${draft.name}-`)
    const unused = [...new Set([...this.#made, ...this.#before])].filter((name) => isOurs(name) && !(own + others).includes(`"secret":"${name}"`))
    this.#made.clear()
    await this.#remove(unused)
  }

  /** Nothing was saved: what was written only to test goes. */
  async dropped(): Promise<void> {
    const unused = [...this.#made]
    this.#made.clear()
    await this.#remove(unused)
  }

  async #remove(names: string[]): Promise<void> {
    // One that stays does no harm: it can be deleted among the secrets.
    await Promise.allSettled(names.map((name) => secrets.remove(name)))
  }
}
