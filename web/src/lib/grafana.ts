// A chart's query as Grafana has it. What a panel looks like, and which data source it asks, is as in the dashboard that the
// server makes of the dagger.
import { columnsOf, groupsOf, stepOf, withStep, withTime } from './influx/query'

export interface Dashboard {
  title: string
  panels: { [key: string]: unknown; datasource: { type: string; uid: string }; targets: { [key: string]: unknown }[] }[]
}

/** The JSON of a panel with this query, which Grafana's choice of time then fills. */
export function panelOf(dashboard: Dashboard, query: string, title: string): object | null {
  const [like] = dashboard.panels
  if (!like) return null
  const step = stepOf(query)
  const { id: _id, gridPos: _place, fieldConfig: _fields, ...panel } = like
  return {
    ...panel,
    title,
    gridPos: { x: 0, y: 0, w: 24, h: 9 },
    fieldConfig: { defaults: { custom: { drawStyle: 'line', lineWidth: 1, fillOpacity: 8, showPoints: 'auto', spanNulls: false } }, overrides: [] },
    ...(step ? { interval: step % 1000 === 0 ? `${step / 1000}s` : `${step}ms` } : {}),
    targets: [target(like.datasource, withStep(cut(query), '$__interval'))],
  }
}

/** Grafana's own choice of time, where the query lets it be put in. */
const cut = (query: string) => withTime(query, '$timeFilter') ?? query

function target(datasource: object, query: string): object {
  const groups = groupsOf(query)
  const isLegible = groups.every((tag) => /^\w+$/.test(tag))
  const words = [...(columnsOf(query) > 1 || groups.length === 0 ? ['$col'] : []), ...groups.map((tag) => `$tag_${tag}`)]
  return { refId: 'A', datasource, rawQuery: true, query, resultFormat: 'time_series', ...(isLegible ? { alias: words.join(' ') } : {}) }
}

/** The address of Grafana's Explore with this query. */
export function exploreUrl(grafanaUrl: string, dashboard: Dashboard, query: string, range: { from: string; to: string }): string | null {
  const datasource = dashboard.panels[0]?.datasource
  if (!datasource) return null
  const pane = { datasource: datasource.uid, queries: [target(datasource, cut(query))], range }
  const search = new URLSearchParams({ schemaVersion: '1', panes: JSON.stringify({ millrace: pane }), orgId: '1' })
  return `${grafanaUrl}/explore?${search}`
}
