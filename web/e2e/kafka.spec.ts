// A cluster of Apache Kafka is connected, a topic made on it, and results are written to it exactly once.
import AxeBuilder from '@axe-core/playwright'
import { expect, test, type Locator, type Page } from '@playwright/test'
import { readFile } from 'node:fs/promises'
import { api, stateOf, TOKEN } from './people'

const ADDRESS = process.env.MILLRACE_KAFKA_BOOTSTRAP_SASL_SSL ?? ''
const CERTS = process.env.MILLRACE_KAFKA_CERTS ?? ''
const id = Date.now().toString(36)
const [CLUSTER, TOPIC, RESULTS, DAGGER] = [`e2e-${id}`, `e2e-events-${id}`, `e2e-totals-${id}`, `e2e_kafka_${id}`]

test.describe.configure({ mode: 'serial' })
test.skip(!TOKEN, 'needs MILLRACE_ADMIN_TOKEN')
test.use({ storageState: stateOf('admin') })

test.beforeAll(async () => {
  if (!ADDRESS || !CERTS) throw new Error('no Kafka to test against: run `scripts/kafka/with_kafka.sh --secure -- scripts/e2e.sh kafka.spec.ts`')
  const server = await api()
  const sql = "SELECT driver_status AS tag_status, count(1) AS drivers, TUMBLE_END(rowtime, INTERVAL '10' SECOND) AS window_timestamp FROM pings GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND), driver_status"
  const made = await server.post('/api/v1/daggers', { headers: { 'idempotency-key': id }, data: { apiVersion: 'millrace/v1', kind: 'Dagger', metadata: { name: DAGGER }, spec: { streams: [{ topics: ['driver-location-ping'], table: 'pings', startFrom: 'latest' }], sql, sinks: [{ kind: 'series' }], checkpoint: { interval: '3s' } } } })
  expect(made.ok(), await made.text()).toBe(true)
  await server.dispose()
})

test.afterAll(async () => {
  const server = await api()
  for (const path of [`daggers/${DAGGER}`, `topics/${TOPIC}`, `topics/${RESULTS}`, `kafka-clusters/${CLUSTER}`]) await server.delete(`/api/v1/${path}`)
  const { items } = (await (await server.get('/api/v1/secrets')).json()) as { items: { name: string }[] }
  for (const { name } of items) if (name.startsWith(CLUSTER)) await server.delete(`/api/v1/secrets/${name}`)
  await server.dispose()
})

const clean = async (page: Page) => {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  expect(violations.map((violation) => `${violation.id}: ${violation.nodes[0]?.html}`)).toEqual([])
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
}
const step = (where: Locator, name: string) => where.locator(`[data-step="${name}"]`)

test('a cluster with a wrong password names the step that fails; mended, it is saved', async ({ page }) => {
  await page.goto('/settings?tab=kafka')
  await page.getByRole('button', { name: 'Add Kafka cluster' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name', { exact: true }).fill(CLUSTER)
  await dialog.getByLabel('Addresses').fill(ADDRESS)
  await dialog.getByLabel('User name').fill('alice')
  await dialog.getByLabel('Password', { exact: true }).fill('wrong')
  const test = dialog.getByRole('button', { name: /Test/ })

  // What is no certificate is said at its field, before anything is asked of the cluster.
  const ca = dialog.getByRole('textbox', { name: /Certificate of the authority/ })
  await ca.fill('not a certificate')
  await test.click()
  await expect(ca).toHaveAttribute('aria-invalid', 'true')
  await expect(dialog.getByText(/no PEM text/)).toBeVisible()
  await dialog.getByLabel(/CA.*From a file/).setInputFiles({ name: 'ca.crt', mimeType: 'text/plain', buffer: await readFile(`${CERTS}/ca.crt`) })
  await expect(ca).toHaveValue(/BEGIN CERTIFICATE/)

  await test.click()
  await expect(step(dialog, 'login')).toHaveAttribute('data-outcome', 'failed')
  await expect(step(dialog, 'encryption')).toHaveAttribute('data-outcome', 'passed')
  await expect(step(dialog, 'topics')).toHaveAttribute('data-outcome', 'notReached')
  await expect(dialog.getByText('The connection does not work yet.')).toBeVisible()
  await clean(page)
  await page.screenshot({ path: 'test-results/kafka-test-failed.png' })

  await dialog.getByLabel('Password', { exact: true }).fill('alice-secret')
  await test.click()
  await expect(dialog.getByText('The connection works.')).toBeVisible()
  await dialog.getByRole('button', { name: 'Add cluster' }).click()
  await expect(dialog).toHaveCount(0)
  await expect(page.getByRole('heading', { level: 2, name: CLUSTER })).toBeVisible()
  await expect(page.getByRole('tabpanel').locator('[data-state="running"]')).toBeVisible()
  // The password is a secret, and nowhere else.
  const server = await api()
  const saved = await (await server.get(`/api/v1/kafka-clusters/${CLUSTER}`)).text()
  expect(saved).toContain(`{"secret":"${CLUSTER}-password"}`)
  expect(saved).not.toContain('alice-secret')
  await server.dispose()
})

test('what was written only to test a connection is gone when nothing is saved', async ({ page }) => {
  await page.goto(`/settings?tab=kafka&cluster=${CLUSTER}`)
  await page.getByRole('button', { name: 'Edit', exact: true }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Password', { exact: true }).fill('another')
  await dialog.getByRole('button', { name: 'Test connection' }).click()
  await expect(step(dialog, 'login')).toHaveAttribute('data-outcome', 'failed')
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  const server = await api()
  const names = async () => ((await (await server.get('/api/v1/secrets')).json()) as { items: { name: string }[] }).items.map(({ name }) => name).filter((name) => name.startsWith(CLUSTER))
  await expect.poll(names).toEqual([`${CLUSTER}-password`])
  await server.dispose()
})

test('a topic is made on the cluster, and found among its topics', async ({ page }) => {
  await page.goto('/topics')
  await page.getByRole('button', { name: 'New topic' }).first().click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name', { exact: true }).fill(TOPIC)
  await dialog.getByLabel('Where the records lie').selectOption(CLUSTER)
  await dialog.getByLabel('Encoding').selectOption('json')
  await expect(dialog.getByRole('button', { name: 'Create topic' })).toBeDisabled()
  await dialog.getByRole('combobox', { name: 'Schema' }).fill('DriverLocationPing')
  await page.keyboard.press('Enter')
  await clean(page)
  await dialog.getByRole('button', { name: 'Create topic' }).click()
  await expect(page).toHaveURL(new RegExp(`/topics/${TOPIC}`))
  await expect(page.getByRole('link', { name: CLUSTER })).toBeVisible()
  // A cluster of Kafka does not say how many bytes a topic has.
  await expect(page.getByText('Size', { exact: true })).toHaveCount(0)
  await page.getByRole('link', { name: CLUSTER }).click()
  await page.getByRole('searchbox').fill(TOPIC)
  await expect(page.getByRole('row', { name: new RegExp(TOPIC) }).getByRole('link', { name: TOPIC })).toBeVisible()
})

test('a topic that was taken off is added again from the list of the cluster', async ({ page }) => {
  await page.goto(`/topics/${TOPIC}`)
  await page.getByRole('button', { name: 'Actions' }).click()
  await page.getByRole('menuitem', { name: 'Take topic off' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Take topic off' }).click()
  await expect(page).toHaveURL(/\/topics$/)
  await page.goto(`/settings?tab=kafka&cluster=${CLUSTER}&q=${TOPIC}`)
  await page.getByRole('button', { name: `Add ${TOPIC}` }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Add topic' }).click()
  await expect(page).toHaveURL(new RegExp(`/topics/${TOPIC}`))
  await expect(page.getByRole('link', { name: CLUSTER })).toBeVisible()
})

test('results are published exactly once, and their records are there', async ({ page }) => {
  await page.goto(`/daggers/${DAGGER}?do=publish`)
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Topic', { exact: true }).fill(RESULTS)
  await dialog.getByLabel('Where the records lie').selectOption(CLUSTER)
  await expect(dialog.getByRole('radio', { name: /Exactly once/ })).toBeChecked()
  await expect(dialog.getByText(/Results are seen every 3 s/)).toBeVisible()
  await clean(page)
  await page.screenshot({ path: 'test-results/kafka-publish.png' })
  await dialog.getByRole('button', { name: 'Publish', exact: true }).click()
  await expect(dialog).toHaveCount(0)
  await expect(page.getByText(`on ${CLUSTER}, exactly once, seen every 3 s`)).toBeVisible()
  await page.getByRole('link', { name: RESULTS }).first().click()
  await expect(page.getByRole('link', { name: CLUSTER })).toBeVisible()
  // A window of 10 s, then a checkpoint.
  await expect(async () => {
    await page.getByRole('button', { name: 'Read', exact: true }).click()
    await expect(page.locator('tr[data-row]').first()).toContainText('drivers', { timeout: 2000 })
  }).toPass({ timeout: 90_000 })
  await clean(page)
})

for (const [width, colorScheme] of [[1440, 'light'], [390, 'dark']] as const) {
  test.describe(`${width} ${colorScheme}`, () => {
    test.use({ viewport: { width, height: 844 }, colorScheme })
    test('the page of a cluster', async ({ page }) => {
      await page.goto(`/settings?tab=kafka&cluster=${CLUSTER}`)
      await expect(page.getByRole('searchbox')).toBeVisible()
      await expect(page.locator('tbody tr').first()).toBeVisible()
      await clean(page)
      await page.screenshot({ path: `test-results/kafka-cluster-${width}-${colorScheme}.png` })
    })
    test('a dagger whose records are gone asks from where it goes on', async ({ page }) => {
      // The real server has all records; that it asks is put into its answer, and what is answered is read from the order.
      await page.route(`**/api/v1/daggers/${DAGGER}`, async (route) => {
        const response = await route.fetch()
        const dagger = (await response.json()) as { status: object }
        Object.assign(dagger.status, { state: 'failed', asksAboutLoss: true, lastError: 'records 0 to 41 of partition 0 are gone', notices: ['the topic keeps records for 1 day'] })
        await route.fulfill({ response, json: dagger })
      })
      await page.goto(`/daggers/${DAGGER}`)
      await expect(page.getByRole('heading', { name: 'Records are gone that this dagger has not read' })).toBeVisible()
      await expect(page.getByText('the topic keeps records for 1 day')).toBeVisible()
      await expect(page.getByRole('button', { name: 'Start', exact: true })).toHaveCount(0)
      await clean(page)
      await page.screenshot({ path: `test-results/kafka-loss-${width}-${colorScheme}.png` })
      await page.getByRole('button', { name: 'Only from new records' }).click()
      const order = page.waitForRequest(/start\?acceptLoss=latest$/)
      await page.getByRole('dialog').getByRole('button', { name: 'Only from new records' }).click()
      expect((await order).method()).toBe('POST')
      await expect(page.getByRole('dialog')).toHaveCount(0)
    })
  })
}
