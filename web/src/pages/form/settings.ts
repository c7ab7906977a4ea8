// The settings of a dagger as lines to compare: everything but its query and whether it runs.
import type { Cell, DaggerDraft, DaggerSpec } from '$lib/api'
import { toYaml } from '$lib/yaml'

export function settingsText(spec: object): string {
  const { sql: _sql, state: _state, ...rest } = spec as Record<string, unknown>
  return toYaml(JSON.parse(JSON.stringify(rest)) as Cell)
}

/** What the draft leaves out stays as it is, so that only what was touched is a difference. */
export const merged = (before: DaggerSpec, draft: DaggerDraft['spec']) => ({
  ...before, ...draft,
  streams: draft.streams.map((stream, index) => ({ ...before.streams[index], ...stream })),
})
