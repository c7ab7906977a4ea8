// A firehose from the form to its end: judged while typing, tried on real records, one record sent, paused, moved, scaled, changed, deleted.
import { expect, test } from '@playwright/test'
import { cancelled, checks, chooseTopic, clean, filter, ledger, makeTopic, orders, publish, state, trial, write } from './firehoses'
import { api, remove } from './people'

const id = Date.now().toString(36)
const NAME = `e2e-orders-${id}`
const KEPT = `e2e-kept-${id}`
const TOPIC = `e2e-firehose-${id}`
const FIRST = orders(0, 30, (number) => number * 10)
const sorted = FIRST.length
const taken = cancelled(FIRST).length

test.beforeAll(async () => {
  await makeTopic(TOPIC)
  await publish(TOPIC, FIRST)
  const server = await api()
  const made = await server.post('/api/v1/firehoses', { headers: { 'idempotency-key': KEPT }, data: { apiVersion: 'millrace/v1', kind: 'Firehose', metadata: { name: KEPT }, spec: { topic: TOPIC, filter: 'price > 100', sink: { kind: 'log' } } } })
  expect(made.ok(), await made.text()).toBe(true)
  await server.dispose()
})
test.afterAll(() => remove(`firehoses/${NAME}`, `firehoses/${KEPT}`, `topics/${TOPIC}`))

test('from the form to the end', async ({ page }) => {
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))

  await test.step('the filter is judged while typing, and tried on the records that are there', async () => {
    await page.goto('/firehoses')
    await page.getByRole('link', { name: 'New firehose' }).click()
    await page.getByLabel('Name', { exact: true }).fill(NAME)
    await chooseTopic(page, TOPIC)
    await expect(page.getByRole('link', { name: 'city.booking.v1.BookingLog' })).toBeVisible()
    await write(page, filter(page), 'statu == "CANCELLED_BY_CUSTOMER"')
    await checks(page, 'bad')
    await expect(filter(page)).toHaveAccessibleDescription(/statu/)
    await write(page, filter(page), 'status == "CANCELLED_BY_CUSTOMER"')
    await checks(page, 'open')
    await expect(trial(page).locator('[data-outcome="kept"]')).not.toHaveText(/^0/)
    await expect(trial(page).locator('[data-outcome="filtered"]')).not.toHaveText(/^0/)
    // Nothing is deployed before there is a sink, and the page says so at its place.
    await page.getByRole('button', { name: 'Deploy' }).click()
    await expect(page.getByText('Choose where the records go.')).toBeVisible()
  })

  await test.step('columns, and what would be sent of them', async () => {
    await page.getByRole('radio', { name: /^Log/ }).check()
    await page.getByRole('radio', { name: 'these' }).check()
    const columns = page.getByRole('listitem').filter({ has: page.getByLabel('What it is') })
    await expect(columns).not.toHaveCount(0)
    while ((await columns.count()) > 2) await page.getByRole('button', { name: 'Leave column 3 out' }).click()
    await columns.nth(0).getByLabel('Field').fill('order_number')
    await columns.nth(1).getByLabel('What it is').selectOption('expression')
    await write(page, columns.nth(1).getByRole('textbox', { name: 'Expression' }), 'price * 2')
    await columns.nth(1).getByLabel('Name of the column').fill('twice')
    await checks(page, 'ok')
    await trial(page).locator('[data-outcome="kept"]').click()
    await expect(trial(page).getByRole('region', { name: 'Row' })).toContainText('twice')
    await clean(page)
    await page.screenshot({ path: 'test-results/firehose-form.png', fullPage: true })
  })

  await test.step('one record is really sent', async () => {
    await trial(page).getByRole('button', { name: 'Send this record' }).click()
    await expect(trial(page).getByText(/^Delivered in/)).toBeVisible()
    await expect(trial(page).getByLabel('What left')).toContainText('F-')
    await expect(trial(page).getByLabel('What came back')).not.toBeEmpty()
    await page.screenshot({ path: 'test-results/firehose-one.png', fullPage: true })
  })

  await test.step('deployed, its ledger adds up in every partition', async () => {
    await page.getByRole('button', { name: 'Deploy' }).click()
    await expect(page).toHaveURL(new RegExp(`/firehoses/${NAME}$`))
    await state(page, 'running')
    await ledger(page, { consumed: sorted, delivered: taken, filtered: sorted - taken, held: 0, 'dead-lettered': 0 })
    await expect(page.getByText('No record is lost.', { exact: false })).toBeVisible()
    await page.screenshot({ path: 'test-results/firehose-page.png', fullPage: true })
  })

  await test.step('paused, nothing is read; resumed, it goes on where it was', async () => {
    await page.getByRole('button', { name: 'Pause', exact: true }).last().click()
    await expect(page.getByRole('dialog')).toContainText('no record is lost')
    await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click()
    await state(page, 'paused')
    await publish(TOPIC, orders(30, 36, () => 5))
    await expect(page.getByRole('term').filter({ hasText: /^Lag$/ }).locator('..')).toContainText('6')
    await page.locator('header.head').getByRole('button', { name: 'Resume' }).last().click()
    await state(page, 'running')
    await ledger(page, { consumed: sorted + 6, delivered: taken + 4, held: 0 })
  })

  await test.step('moved back, it says before how many are sent again', async () => {
    await page.getByRole('button', { name: `Actions: ${NAME}` }).click()
    await page.getByRole('menuitem', { name: 'Move to another place' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('radio', { name: 'new records only' }).check()
    await expect(dialog.getByText('It goes on where it is.')).toBeVisible()
    await dialog.getByRole('radio', { name: 'the first record there is' }).check()
    await expect(dialog.getByText(`${sorted + 6} records are sent again.`)).toBeVisible()
    await dialog.getByRole('button', { name: 'Move' }).click()
    await expect(dialog).toHaveCount(0)
    await state(page, 'running')
    await ledger(page, { held: 0 })
  })

  await test.step('scaled', async () => {
    await page.getByRole('button', { name: `Actions: ${NAME}` }).click()
    await page.getByRole('menuitem', { name: 'Scale' }).click()
    await page.getByLabel('Calls at a time').fill('3')
    await page.getByRole('dialog').getByRole('button', { name: 'Scale' }).click()
    await expect(page.getByText(`${NAME} makes up to 3 calls at a time.`)).toBeVisible()
    await page.getByRole('tab', { name: 'YAML' }).click()
    await expect(page.getByRole('tabpanel')).toContainText('parallelism: 3')
  })

  await test.step('an edit says what changes', async () => {
    await page.getByRole('link', { name: 'Edit' }).click()
    await write(page, filter(page), 'status == "COMPLETED"')
    await page.getByRole('button', { name: 'Review and deploy' }).click()
    const dialog = page.getByRole('dialog')
    await expect(dialog.locator('.in')).toHaveCount(1)
    await expect(dialog.locator('.in')).toContainText('COMPLETED')
    await dialog.getByRole('button', { name: 'Deploy' }).click()
    await expect(page).toHaveURL(new RegExp(`/firehoses/${NAME}$`))
    await state(page, 'running')
    await page.getByRole('tab', { name: 'Revisions' }).click()
    await expect(page.getByRole('tabpanel').locator('.in')).toContainText('COMPLETED')
  })

  await test.step('in the list, by keyboard, to its end', async () => {
    await page.keyboard.press('g')
    await page.keyboard.press('f')
    await expect(page).toHaveURL(/\/firehoses$/)
    await page.keyboard.press('/')
    await page.keyboard.type(NAME)
    await expect(page.getByRole('row', { name: new RegExp(KEPT) })).toHaveCount(0)
    await page.getByRole('button', { name: `Actions: ${NAME}` }).click()
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    await expect(page.getByRole('dialog')).toContainText(NAME)
    await page.getByRole('button', { name: 'Delete firehose' }).click()
    await expect(page.getByText('No firehose matches.')).toBeVisible()
  })
  expect(problems).toEqual([])
})

test('empty, failing and without an answer, the list says so', async ({ page }) => {
  await page.route('**/api/v1/firehoses?**', (route) => route.fulfill({ json: { items: [], total: 0, facets: { groups: [], states: [], clusters: [] } } }))
  await page.goto('/firehoses')
  await expect(page.getByRole('heading', { name: 'No firehoses yet' })).toBeVisible()
  await page.getByRole('link', { name: 'Make your first firehose' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'New firehose' })).toBeVisible()
  await page.unroute('**/api/v1/firehoses?**')
  await page.route('**/api/v1/firehoses?**', (route) => route.abort())
  await page.goto('/firehoses')
  await expect(page.getByRole('alert')).toContainText('The server does not answer.')
  await page.unroute('**/api/v1/firehoses?**')
  await expect(page.getByRole('row', { name: new RegExp(KEPT) })).toBeVisible({ timeout: 30_000 })
})

for (const [width, height] of [[1440, 900], [390, 844]] as const) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`every page, ${width} wide, ${colorScheme}`, async ({ page }) => {
      await page.setViewportSize({ width, height })
      await page.emulateMedia({ colorScheme })
      for (const [name, path, heading] of [['list', '/firehoses', 'Firehoses'], ['new', '/firehoses/new', 'New firehose'], ['page', `/firehoses/${KEPT}`, KEPT], ['errors', `/firehoses/${KEPT}?tab=errors`, KEPT], ['seek', `/firehoses/${KEPT}?do=seek`, KEPT], ['yaml', `/firehoses/${KEPT}?tab=yaml`, KEPT], ['edit', `/firehoses/${KEPT}/edit`, `Edit ${KEPT}`], ['gone', '/firehoses/nothing', /not there any more/]] as const) {
        await page.goto(path)
        await expect(page.getByRole('heading', { level: 1, name: heading })).toBeAttached()
        await expect(page.locator('[aria-busy="true"]')).toHaveCount(0)
        await page.screenshot({ path: `test-results/pages/firehose-${name}-${width}-${colorScheme}.png`, fullPage: true })
        await clean(page)
      }
    })
  }
}
