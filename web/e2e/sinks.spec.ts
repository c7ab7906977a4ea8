// One dagger, from the form into Millrace's series, an InfluxDB 1.6 and a VictoriaMetrics: the same points in all three.
import AxeBuilder from '@axe-core/playwright'
import { expect, request, test as base, type Page } from '@playwright/test'
import { NOBODY } from './people'
import { login, start, type OwnServer } from './server'

const INFLUX = process.env.MILLRACE_INFLUXDB_URL ?? ''
const VICTORIA = process.env.MILLRACE_VICTORIA_METRICS_URL ?? ''
const id = Date.now().toString(36)
const NAME = 'driver_count_demo'
const MEASUREMENT = 'driver_count_demo_influx_3876'
const [DATABASE, TAKEN] = [`daggers_${id}`, `taken_${id}`]
const PASSWORD = `not to be seen ${id}`
// The page of the dagger opens with it, letter for letter.
const QUERY = 'SELECT sum(*) FROM driver_count_demo_influx_3876 WHERE time > now() - 900s GROUP BY time(30s) fill(null)'
// That of driver_count_demo, in windows of the query's length.
const SQL = `SELECT DistinctCount(driver_id) as drivers , S2Id(latitude, longitude, 13) as
label_s2id, driver_status as label_driver_status, TUMBLE_END(rowtime,
INTERVAL '30' SECOND) AS window_timestamp from \`supply_data\` GROUP
BY TUMBLE ( rowtime, INTERVAL '30' SECOND ), S2Id(latitude, longitude, 13),
driver_status`

const place = (page: Page, number: number) => page.getByRole('region', { name: `Place ${number}` })
const chart = (page: Page) => page.getByRole('region', { name: 'Chart', exact: true })
const editor = (page: Page) => chart(page).locator('.cm-content')
const shot = (page: Page, name: string) => page.screenshot({ path: `test-results/sinks-${name}.png`, fullPage: true })

type Session = Awaited<ReturnType<typeof login>>

// A server of its own: on the others' there is a driver_count_demo already. The one of the demo city goes.
let server: OwnServer
const test = base.extend<object, { own: { url: string; session: Session } }>({
  own: [async ({}, use) => {
    server = await start('--sink-networks', '127.0.0.1')
    try {
      const session = await login(server, 'analyst')
      const admin = await server.api()
      await expect.poll(async () => (await admin.get(`/api/v1/daggers/${NAME}`)).status(), { timeout: 60_000 }).toBe(200)
      const deleted = await admin.delete(`/api/v1/daggers/${NAME}`)
      expect(deleted.ok(), await deleted.text()).toBe(true)
      await expect.poll(async () => (await admin.get(`/api/v1/daggers/${NAME}`)).status()).toBe(404)
      await admin.dispose()
      await use({ url: server.url, session })
    } finally {
      await server.stop()
    }
  }, { scope: 'worker', timeout: 180_000 }],
  baseURL: async ({ own }, use) => use(own.url),
  storageState: async ({ own }, use) => use(own.session),
})
const api = () => server.api()

interface Answer { results: { error?: string; series?: { columns: string[]; values: (string | number | null)[][] }[] }[] }

async function influxql(server: 'millrace' | 'influx', database: string, query: string): Promise<Answer> {
  const context = server === 'millrace' ? await api() : await request.newContext({ baseURL: INFLUX, storageState: NOBODY })
  const answer = await context.post('/query', { params: { db: database, q: query, epoch: 'ms' } })
  const body = await answer.text()
  await context.dispose()
  expect(answer.ok(), body).toBe(true)
  const document = JSON.parse(body) as Answer
  for (const result of document.results) expect(result.error).toBeUndefined()
  return document
}

/** By time and tags. */
type Points = Record<string, number>

function points(all: [key: string, value: number][]): Points {
  const found = Object.fromEntries(all)
  // Nothing is there twice.
  expect(Object.keys(found)).toHaveLength(all.length)
  return found
}

async function pointsOf(server: 'millrace' | 'influx', database: string): Promise<Points> {
  const { results } = await influxql(server, database, `SELECT drivers, driver_status, s2id FROM ${MEASUREMENT}`)
  const { columns, values } = results[0]?.series?.[0] ?? { columns: [], values: [] }
  const at = (row: (string | number | null)[], name: string) => row[columns.indexOf(name)]
  return points(values.map((row) => [`${at(row, 'time')} ${at(row, 'driver_status')} ${at(row, 's2id')}`, Number(at(row, 'drivers'))]))
}

async function pointsOfVictoria(): Promise<Points> {
  const context = await request.newContext({ baseURL: VICTORIA, storageState: NOBODY })
  await context.post('/internal/force_flush')
  const answer = await context.get('/api/v1/export', { params: { 'match[]': `${MEASUREMENT}_drivers` } })
  expect(answer.ok()).toBe(true)
  const series = (await answer.text()).split('\n').filter(Boolean).map((line) => JSON.parse(line) as { metric: Record<string, string>; values: number[]; timestamps: number[] })
  await context.dispose()
  return points(series.flatMap(({ metric, values, timestamps }) => timestamps.map((time, index) => [`${time} ${metric.driver_status} ${metric.s2id}`, values[index] ?? NaN])))
}

async function write(page: Page, where: ReturnType<Page['locator']>, text: string) {
  await where.click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText(text)
}

async function clean(page: Page) {
  const { violations } = await new AxeBuilder({ page }).exclude('.maplibregl-map').analyze()
  expect(violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(' ')).join(', ')}`)).toEqual([])
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBeLessThanOrEqual(0)
}

test.beforeAll(async () => {
  if (!INFLUX || !VICTORIA) throw new Error('no servers to write to: run `scripts/influxdb.sh -- scripts/victoria_metrics.sh -- scripts/e2e.sh sinks.spec.ts`')
  for (const database of [DATABASE, TAKEN]) await influxql('influx', '', `CREATE DATABASE ${database}`)
  const influx = await request.newContext({ baseURL: INFLUX, storageState: NOBODY })
  expect((await influx.post('/write', { params: { db: TAKEN }, data: `${MEASUREMENT} drivers=1.5` })).status()).toBe(204)
  await influx.dispose()
})

test('the same dagger into series, InfluxDB and VictoriaMetrics, with equal points', async ({ page }) => {
  const database = () => place(page, 2).getByLabel('Database', { exact: true })
  const address = () => place(page, 2).getByLabel('Address', { exact: true })
  const deploy = () => page.getByRole('button', { name: 'Deploy' }).click()

  await test.step('the form: three places', async () => {
    await page.goto('/daggers/new')
    await page.getByLabel('Name', { exact: true }).fill(NAME)
    await page.getByRole('combobox', { name: 'Schema' }).fill('driverloc')
    await page.getByRole('option', { name: /DriverLocationPing/ }).click()
    await page.getByLabel('Table', { exact: true }).fill('supply_data')
    await write(page, page.locator('.cm-content'), SQL)
    await expect(page.locator('[data-checks="ok"]')).toBeVisible()
    await place(page, 1).getByLabel('Measurement').fill(MEASUREMENT)
    await page.getByRole('button', { name: 'Write to another place too' }).click()
    await expect(place(page, 2).getByRole('radio', { name: /InfluxDB/ })).toBeChecked()
    // The query is judged while the place is not filled in yet.
    await expect(page.locator('[data-checks="ok"]')).toBeVisible()
    await page.getByRole('button', { name: 'Write to another place too' }).click()
    await place(page, 3).getByRole('radio', { name: /VictoriaMetrics/ }).check()
    await place(page, 3).getByLabel('Address', { exact: true }).fill(VICTORIA)
    await place(page, 3).getByLabel('Measurement').fill(MEASUREMENT)
  })

  await test.step('what is wrong stands at its field', async () => {
    await deploy()
    await expect(address()).toHaveAttribute('aria-invalid', 'true')
    await expect(address()).toHaveAccessibleDescription(/Write where the server is/)
    await expect(database()).toHaveAccessibleDescription('Write the name of the database.')
    await database().fill('nowhere')
    await address().fill('influx:8086')
    await expect(address()).toHaveAccessibleDescription(/is no address of a server/)
    await address().fill('http://169.254.169.254/latest')
    await expect(address()).toHaveAccessibleDescription(/link-local address/)
    await shot(page, 'form-wrong')
    await address().fill(INFLUX)
    await place(page, 2).getByLabel('Measurement').fill(MEASUREMENT)
    await expect(page.locator('[data-checks="ok"]')).toBeVisible()
    await deploy()
    await expect(database()).toHaveAccessibleDescription(/has no such database/)
    // The server has the field with another type.
    await database().fill(TAKEN)
    await expect(database()).toHaveAttribute('aria-invalid', 'false')
    await deploy()
    await expect(place(page, 2).getByText(/the field `drivers` would be written as integer.* as float/i)).toBeVisible()
    await expect(page.getByRole('alert')).toContainText('Place 2: The field `drivers`')
    await database().fill(DATABASE)
    await expect(page.getByRole('alert')).toHaveCount(0)
  })

  await test.step('the password is a secret, which the dagger only names', async () => {
    await place(page, 2).getByLabel(/User name/).fill('millrace')
    await deploy()
    const secret = place(page, 2).getByRole('combobox', { name: 'Password' })
    await expect(secret).toHaveAccessibleDescription(/Choose the secret/)
    await place(page, 2).getByRole('button', { name: 'New secret' }).click()
    const dialog = page.getByRole('dialog')
    await expect(dialog.getByLabel('Name of the secret')).toHaveValue(`${NAME}-influx`)
    await dialog.getByLabel('Value').fill(PASSWORD)
    await page.screenshot({ path: 'test-results/sinks-secret.png' })
    await dialog.getByRole('button', { name: 'Add secret' }).click()
    await expect(dialog).toHaveCount(0)
    await expect(secret).toHaveValue(`${NAME}-influx`)
    await expect(page.locator('[data-checks="ok"]')).toBeVisible()
    await shot(page, 'form')
    await clean(page)
  })

  await test.step('its page opens with the query', async () => {
    await deploy()
    await expect(page).toHaveURL(new RegExp(`/daggers/${NAME}$`))
    const admin = await api()
    const text = await (await admin.get(`/api/v1/daggers/${NAME}`)).text()
    await admin.dispose()
    expect(text).not.toContain(PASSWORD)
    expect((JSON.parse(text) as { spec: { sinks: object[] } }).spec.sinks).toEqual([
      { kind: 'series', measurement: MEASUREMENT },
      { kind: 'influx', version: 1, url: INFLUX, database: DATABASE, measurement: MEASUREMENT, username: 'millrace', secret: `${NAME}-influx` },
      { kind: 'victoriaMetrics', url: VICTORIA, measurement: MEASUREMENT },
    ])
    await expect(editor(page)).toHaveText(QUERY, { timeout: 90_000 })
    await expect(chart(page).locator('.plot canvas')).toBeVisible({ timeout: 60_000 })
    await expect(chart(page).getByRole('button', { name: /^sum_drivers/ })).toBeVisible()
    await expect(page.getByRole('definition').filter({ hasText: `${DATABASE} at` })).toContainText(/rows delivered/)
    await expect(page.getByRole('definition').filter({ hasText: VICTORIA.replace('http://', '') })).toContainText(/rows delivered/)
  })

  await test.step('the query is edited', async () => {
    await write(page, editor(page), QUERY.replace('sum(*)', 'max(drivers) AS most').replace('time(30s)', 'time(1m), driver_status'))
    await page.keyboard.press('Control+Enter')
    await expect(chart(page).getByRole('button', { name: /^AVAILABLE/ })).toBeVisible()
    await expect(chart(page).getByRole('button', { name: /^ON_TRIP/ })).toBeVisible()
    await shot(page, 'edited')
    await chart(page).getByRole('button', { name: 'Default query' }).click()
    await expect(editor(page)).toHaveText(QUERY)
  })

  await test.step('stopped, all three have the same points', async () => {
    await page.getByRole('button', { name: 'Stop', exact: true }).click()
    await expect(page.locator('header.head').locator('[data-state="suspended"]')).toBeVisible({ timeout: 30_000 })
    const ours = await pointsOf('millrace', 'default')
    const count = Object.keys(ours).length
    expect(count).toBeGreaterThan(100)
    expect(await pointsOf('influx', DATABASE)).toEqual(ours)
    expect(await pointsOfVictoria()).toEqual(ours)
    console.log(`${count} points, the same in Millrace, InfluxDB and VictoriaMetrics`)
  })

  await test.step('both answer the query of the page with the same numbers', async () => {
    const sums = async (server: 'millrace' | 'influx', database: string) => {
      const { results } = await influxql(server, database, QUERY)
      expect(results[0]?.series?.[0]?.columns).toEqual(['time', 'sum_drivers'])
      // The first window is cut by `now()`, which is another one for each.
      return (results[0]?.series?.[0]?.values ?? []).slice(2).filter(([, sum]) => sum !== null)
    }
    const theirs = await sums('influx', DATABASE)
    expect(theirs.length).toBeGreaterThan(0)
    expect(await sums('millrace', 'default')).toEqual(theirs)
  })
})

for (const [width, height] of [[1440, 900], [390, 844]] as const) {
  for (const scheme of ['light', 'dark'] as const) {
    test(`the form, ${width} wide, ${scheme}`, async ({ page }) => {
      await page.setViewportSize({ width, height })
      await page.emulateMedia({ colorScheme: scheme })
      await page.goto('/daggers/new?topic=driver-location-ping')
      await expect(page.locator('[data-checks="ok"]')).toBeVisible()
      await page.getByRole('button', { name: 'Write to another place too' }).click()
      await place(page, 2).getByLabel('Address', { exact: true }).fill('http://10.0.0.1:8086')
      await place(page, 2).getByLabel('Database', { exact: true }).fill('daggers')
      await expect(place(page, 2).getByLabel('Address', { exact: true })).toHaveAccessibleDescription(/private address/)
      await page.getByRole('button', { name: 'Write to another place too' }).click()
      await place(page, 3).getByRole('radio', { name: /Prometheus/ }).check()
      await place(page, 3).scrollIntoViewIfNeeded()
      await shot(page, `form-${width}-${scheme}`)
      await clean(page)
    })
  }
}

test('a dagger without a series says where its result goes', async ({ page }) => {
  const admin = await api()
  const sql = SQL.replace('supply_data', 'pings')
  const made = await admin.post('/api/v1/daggers', { headers: { 'idempotency-key': `only-${id}` }, data: { apiVersion: 'millrace/v1', kind: 'Dagger', metadata: { name: `${NAME}_only` }, spec: { streams: [{ topics: ['driver-location-ping'], table: 'pings', startFrom: 'latest' }], sql, sinks: [{ kind: 'victoriaMetrics', url: VICTORIA, measurement: `${NAME}_only` }] } } })
  expect(made.ok(), await made.text()).toBe(true)
  await admin.dispose()
  await page.goto(`/daggers/${NAME}_only`)
  await expect(page.getByText(`This dagger writes to VictoriaMetrics at ${VICTORIA.replace('http://', '')}`)).toBeVisible()
  await shot(page, 'only')
  await page.getByRole('link', { name: 'Add a series' }).click()
  await expect(place(page, 1).getByRole('radio', { name: /VictoriaMetrics/ })).toBeChecked()
  await page.getByRole('button', { name: 'Write to another place too' }).click()
  await expect(place(page, 2).getByRole('radio', { name: /Series/ })).toBeChecked()
  await page.getByRole('button', { name: 'Review and deploy' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Deploy' }).click()
  await expect(page).toHaveURL(new RegExp(`/daggers/${NAME}_only$`))
  await expect(page.locator('header.head').locator('[data-state="running"]')).toBeVisible()
})
