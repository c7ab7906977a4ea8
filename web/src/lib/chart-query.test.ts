import { expect, test, vi } from 'vitest'
import { anchored, influxQuery, readRange, sqlQuery, stepFor, writeRange } from './chart-query'
import { exploreUrl, panelOf, type Dashboard } from './grafana'
import { shape } from './measurement'

vi.mock('./i18n', () => ({ language: 'en', t: {} }))

const columns = [{ name: 'time', type: 'Timestamp' }, { name: 'status', type: 'Utf8' }, { name: 'drivers', type: 'Int64' }]
const counts = shape('driver_count_demo_influx_3876', columns, [])
const LAST = { kind: 'last', ms: 900_000 } as const
const QUERY = 'SELECT sum(*) FROM driver_count_demo_influx_3876 WHERE time > now() - 900s GROUP BY time(30s) fill(null)'

test('the query that a page opens with', () => {
  expect(influxQuery(counts, 30_000, { range: LAST, by: [] })).toBe(QUERY)
  expect(influxQuery(counts, 30_000, { range: LAST, by: ['status'] })).toBe(QUERY.replace('time(30s)', 'time(30s), status'))
  expect(sqlQuery(counts, 30_000, { range: LAST, by: ['status'] })).toBe(`SELECT date_bin(INTERVAL '30 seconds', time) AS time, status, sum(drivers) AS drivers
FROM driver_count_demo_influx_3876
WHERE time > now() - INTERVAL '900 seconds'
GROUP BY 1, 2
ORDER BY 1`)
})

test('levels are averaged, and names are quoted where they must be', () => {
  const mixed = shape('m-1', [...columns, { name: 'wait', type: 'Float64' }], [])
  expect(influxQuery(mixed, 60_000, { range: LAST, by: [] })).toBe('SELECT sum(drivers) AS sum_drivers, mean(wait) AS mean_wait FROM "m-1" WHERE time > now() - 900s GROUP BY time(60s) fill(null)')
})

test('what has no numbers is counted', () => {
  const words = shape('m', columns.slice(0, 2), [])
  expect(influxQuery(words, 60_000, { range: LAST, by: [] })).toContain('SELECT count(*) FROM m')
  expect(sqlQuery(words, 60_000, { range: LAST, by: [] })).toContain('AS time, count(*) AS points')
})

test('a longer range has longer steps, whole windows each', () => {
  const step = (ms: number) => stepFor(30_000, { kind: 'last', ms })
  expect([900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000].map(step)).toEqual([30_000, 30_000, 30_000, 150_000, 900_000])
  expect(stepFor(null, LAST)).toBe(30_000)
})

test('ranges are kept in the address', () => {
  for (const text of ['5m', '15m', '1h', '7d', '2020-01-01T00:00:00.000Z/2020-01-02T00:00:00.000Z']) expect(writeRange(readRange(text) ?? LAST)).toBe(text)
  expect([readRange(''), readRange('x'), readRange('2020-01-02T00:00:00Z/2020-01-01T00:00:00Z')]).toEqual([null, null, null])
  expect(readRange('90s')).toEqual({ kind: 'last', ms: 90_000 })
})

test('results that ended long ago are shown where they end', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  expect(anchored(LAST, '2025-12-31T23:59:00Z', now)).toBe(LAST)
  expect(anchored(LAST, null, now)).toBe(LAST)
  expect(anchored(LAST, '1987-10-01T12:00:00Z', now)).toEqual({ kind: 'between', from: '1987-10-01T11:45:00.000Z', to: '1987-10-01T12:00:00.000Z' })
})

const dashboard: Dashboard = { title: 'd', panels: [{ id: 1, type: 'timeseries', title: 'n (sum)', datasource: { type: 'influxdb', uid: 'millrace-default' }, gridPos: { x: 12, y: 9, w: 12, h: 9 }, interval: '1m', fieldConfig: { defaults: { min: 0 }, overrides: [] }, options: {}, targets: [{ refId: 'A', query: 'x' }] }] }

test('a panel asks what the chart asks, over the time that Grafana shows', () => {
  expect(panelOf(dashboard, QUERY.replace('time(30s)', 'time(30s), status'), 'driver_count_demo')).toMatchObject({
    type: 'timeseries', title: 'driver_count_demo', interval: '30s', gridPos: { x: 0, y: 0, w: 24, h: 9 }, datasource: { uid: 'millrace-default' },
    targets: [{ refId: 'A', rawQuery: true, resultFormat: 'time_series', alias: '$col $tag_status', query: 'SELECT sum(*) FROM driver_count_demo_influx_3876 WHERE $timeFilter GROUP BY time($__interval), status fill(null)' }],
  })
  expect(panelOf({ title: 'd', panels: [] }, QUERY, 'd')).toBeNull()
})

test('Explore opens with the same query', () => {
  const url = new URL(exploreUrl('https://grafana.example.com', dashboard, QUERY, { from: 'now-900s', to: 'now' }) ?? '')
  expect([url.origin, url.pathname]).toEqual(['https://grafana.example.com', '/explore'])
  expect(JSON.parse(url.searchParams.get('panes') ?? '')).toMatchObject({ millrace: { datasource: 'millrace-default', range: { from: 'now-900s', to: 'now' }, queries: [{ query: QUERY.replace('time > now() - 900s', '$timeFilter') }] } })
})
