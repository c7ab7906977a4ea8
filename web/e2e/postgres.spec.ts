// A topic into a table of PostgreSQL: made in the form, the table broken, the dead letters seen, the table mended, the records replayed, and the ledger adds up all the time.
import { expect, test } from '@playwright/test'
import { execFileSync } from 'node:child_process'
import { cancelled, checks, chooseTopic, clean, filter, ledger, makeTopic, orders, publish, state, trial, write } from './firehoses'
import { remove } from './people'

const URL = process.env.MILLRACE_POSTGRES_18_URL ?? ''
const BIN = process.env.MILLRACE_POSTGRES_15_BIN ?? ''
const id = Date.now().toString(36)
const NAME = `e2e-postgres-${id}`
const TOPIC = `e2e-orders-for-postgres-${id}`
const TABLE = `cancelled_${id}`
const TOO_DEAR = 1000
const FIRST = orders(0, 60, (number) => number)
// Every fourth is of a price that the broken table does not take.
const SECOND = orders(60, 100, (number) => (number % 4 === 0 ? TOO_DEAR + number : number))
const all = [...FIRST, ...SECOND]
const bad = cancelled(SECOND).filter((order) => order.price >= TOO_DEAR)

const sql = (statement: string) => execFileSync(`${BIN}/psql`, [URL, '-XAtqc', statement], { encoding: 'utf8' }).trim()
const rows = () => sql(`SELECT order_number, customer, price FROM "${TABLE}"`).split('\n').filter(Boolean).sort()
const expected = (list: typeof all) => cancelled(list).map((order) => `${order.order_number}|${order.customer_id}|${order.price}`).sort()

test.beforeAll(async () => {
  if (!URL || !BIN) throw new Error('no PostgreSQL to write to: run `scripts/postgres.sh -- scripts/e2e.sh postgres.spec.ts`')
  await makeTopic(TOPIC)
  await publish(TOPIC, FIRST)
})
test.afterAll(() => remove(`firehoses/${NAME}`, `topics/${TOPIC}`))

test('create, break the table, see the dead letters, mend, replay: the ledger adds up', async ({ page }) => {
  const shot = (name: string) => page.screenshot({ path: `test-results/postgres-${name}.png`, fullPage: true })

  await test.step('the form is made from what the sink says of itself', async () => {
    await page.goto('/firehoses/new')
    await page.getByLabel('Name', { exact: true }).fill(NAME)
    await chooseTopic(page, TOPIC)
    await write(page, filter(page), 'status == "CANCELLED_BY_CUSTOMER"')
    await page.getByRole('radio', { name: /^PostgreSQL/ }).check()
    await page.getByRole('radio', { name: 'these' }).check()
    const columns = page.getByRole('listitem').filter({ has: page.getByLabel('What it is') })
    await expect(columns).not.toHaveCount(0)
    while ((await columns.count()) > 3) await page.getByRole('button', { name: 'Leave column 4 out' }).click()
    for (const [index, [field, as]] of [['order_number', ''], ['customer_id', 'customer'], ['price', '']].entries()) {
      await columns.nth(index).getByLabel('Field').fill(field ?? '')
      await columns.nth(index).getByLabel('Name of the column').fill(as ?? '')
    }
    await page.getByLabel(/^URL/).fill('127.0.0.1:5432')
    await page.getByLabel('Table', { exact: true }).fill(TABLE)
    await page.getByLabel('TLS').selectOption('require')
    // What follows from a choice appears with it.
    await expect(page.getByRole('group', { name: /^Unique keys/ })).toHaveCount(0)
    await page.getByLabel('Mode').selectOption('upsert')
    await page.getByRole('group', { name: /^Unique keys/ }).getByRole('checkbox', { name: 'order_number' }).check()
    await expect(page.getByLabel(/^URL/)).toHaveAttribute('aria-invalid', 'true')
    await page.getByLabel(/^URL/).fill(URL)
    await page.locator('summary', { hasText: 'More settings' }).click()
    await page.getByLabel('Create table').check()
    await checks(page, 'ok')
    await expect(page.getByRole('complementary', { name: 'Summary' })).toContainText('exactly once')
    await expect(trial(page).locator('[data-outcome="kept"]')).not.toHaveText(/^0/)
    await shot('form')
    await clean(page)
  })

  await test.step('deployed, the table has what the filter lets through', async () => {
    await page.getByRole('button', { name: 'Deploy' }).click()
    await expect(page).toHaveURL(new RegExp(`/firehoses/${NAME}$`))
    await state(page, 'running')
    await ledger(page, { consumed: FIRST.length, delivered: cancelled(FIRST).length, filtered: FIRST.length - cancelled(FIRST).length, held: 0, 'dead-lettered': 0 })
    expect(rows()).toEqual(expected(FIRST))
    await shot('delivered')
  })

  await test.step('the table is broken: what it refuses are dead letters, the rest arrives', async () => {
    sql(`ALTER TABLE "${TABLE}" ADD CONSTRAINT cheap CHECK (price < ${TOO_DEAR})`)
    await publish(TOPIC, SECOND)
    await ledger(page, { consumed: all.length, delivered: cancelled(all).length - bad.length, filtered: all.length - cancelled(all).length, held: 0, 'dead-lettered': bad.length })
    expect(rows()).toEqual(expected(all.filter((order) => !bad.includes(order))))
    await shot('broken')
  })

  await test.step('a click on the number shows them, with the reason', async () => {
    await page.getByRole('region', { name: /^Ledger:/ }).getByRole('link', { name: String(bad.length), exact: true }).click()
    await expect(page).toHaveURL(/tab=errors/)
    const group = page.getByRole('tabpanel').getByRole('listitem').filter({ hasText: 'cheap' })
    await expect(group).toHaveCount(1)
    await group.getByRole('button', { expanded: false }).click()
    await expect(group.getByRole('row')).toHaveCount(bad.length + 1)
    await shot('dead-letters')
    await clean(page)
  })

  await test.step('a replay before the table is mended is refused again, and loses nothing', async () => {
    await page.getByRole('tabpanel').getByRole('button', { name: 'Replay', exact: true }).click()
    const dialog = page.getByRole('dialog')
    await expect(dialog).toContainText(`through ${NAME}, as it is now`)
    await dialog.getByRole('button', { name: `Replay ${bad.length} records` }).click()
    await expect(dialog.getByRole('alert')).toContainText('cheap')
    await page.keyboard.press('Escape')
  })

  await test.step('mended and replayed, every record is there once', async () => {
    sql(`ALTER TABLE "${TABLE}" DROP CONSTRAINT cheap`)
    await page.getByRole('tabpanel').getByRole('button', { name: 'Replay', exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: `Replay ${bad.length} records` }).click()
    await expect(page.getByText(`${bad.length} replayed.`)).toBeVisible()
    await expect(page.getByRole('tabpanel').getByRole('heading', { name: 'No dead letters' })).toBeVisible()
    expect(rows()).toEqual(expected(all))
    await page.getByRole('tab', { name: 'Flow' }).click()
    await state(page, 'running')
    await ledger(page, { consumed: all.length, filtered: all.length - cancelled(all).length, held: 0 })
    await shot('replayed')
  })
})
