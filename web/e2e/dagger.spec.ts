// The story of one dagger, from the form to its end, as an analyst would live it.
import { expect, test, type Page } from '@playwright/test'
import { mapPixels } from './pixels'

const NAME = `e2e_driver_count_${Date.now().toString(36)}`
// The second query of the SQL reference, letter for letter.
const SQL = `SELECT DistinctCount(driver_id) as drivers , S2Id(latitude, longitude, 13) as
label_s2id, driver_status as label_driver_status, TUMBLE_END(rowtime,
INTERVAL '60' SECOND) AS window_timestamp from \`supply_data\` GROUP
BY TUMBLE ( rowtime, INTERVAL '60' SECOND ), S2Id(latitude, longitude, 13),
driver_status`

const shot = (page: Page, name: string) => page.screenshot({ path: `test-results/${name}.png` })

test.afterAll(async ({ request }) => {
  // What a failed test has left behind; gone already after a good one.
  await request.delete(`/api/v1/daggers/${NAME}`)
})

test('create, preview, deploy, chart, map, stop, start, delete', async ({ page }) => {
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))

  await page.goto('/daggers')
  await expect(page.getByRole('row', { name: /driver_count_demo/ })).toBeVisible()
  await shot(page, '1-list')
  await page.getByRole('link', { name: 'New dagger' }).click()

  // The form: schema by type-ahead fills topics, table, time and a query.
  await page.getByLabel('Name', { exact: true }).fill(NAME)
  const schema = page.getByRole('combobox', { name: 'Schema' })
  await schema.fill('driverloc')
  await page.getByRole('option', { name: /DriverLocationPing/ }).click()
  await expect(page.getByRole('checkbox', { name: /driver-location-ping/ })).toBeChecked()
  await expect(page.getByLabel('Event time')).toHaveValue('event_timestamp')
  await expect(page.locator('.cm-content')).toContainText('TUMBLE')
  await page.getByLabel('Table', { exact: true }).fill('supply_data')
  await expect(page.locator('[data-checks]')).toHaveAttribute('data-checks', /ok|bad/)

  // A mistake is underlined while typing, and the nearest name is said.
  await write(page, SQL.replace('driver_status as', 'driver_statu as'))
  await expect(page.locator('[data-checks="bad"]')).toBeVisible()
  await expect(page.locator('.cm-lintRange-error')).toBeVisible()
  await expect(page.locator('.messages')).toContainText('driver_status')
  await shot(page, '2-mistake')

  await write(page, SQL)
  await expect(page.locator('[data-checks="ok"]')).toBeVisible()
  await page.keyboard.press('Control+Enter')
  const preview = page.getByRole('region', { name: 'Preview' })
  await expect(preview.getByRole('columnheader', { name: 'drivers' })).toBeVisible()
  await expect(preview.getByText('adds up')).toBeVisible()
  await preview.getByRole('tab', { name: 'Chart' }).click()
  await expect(preview.locator('canvas').first()).toBeVisible()
  await shot(page, '3-preview')

  await page.getByRole('button', { name: 'Deploy' }).click()
  await expect(page).toHaveURL(new RegExp(`/daggers/${NAME}$`))
  await expect(page.locator('[data-state="running"]')).toBeVisible()
  await expect(page.getByRole('region', { name: /Ledger/ }).getByText('adds up')).toBeVisible()

  // The records of the past give results at once; the chart has one line for each status.
  await expect(page.getByRole('button', { name: /^AVAILABLE/ })).toBeVisible({ timeout: 90_000 })
  await expect(page.locator('.plot canvas')).toBeVisible()
  // Cells are really drawn: the colours of the ramp are on the canvas.
  await expect.poll(() => mapPixels(page), { timeout: 60_000 }).toBeGreaterThan(500)
  await shot(page, '4-dagger')
  const address = page.url()
  await page.getByLabel('Height').selectOption('drivers')
  await expect(page).toHaveURL(/height=drivers/)
  await page.goBack()
  await page.goto(address)

  for (const tab of ['Flow', 'Errors', 'Settings', 'YAML']) {
    await page.getByRole('tab', { name: new RegExp(tab) }).click()
    await expect(page.getByRole('tabpanel')).not.toBeEmpty()
  }
  await expect(page.getByRole('tabpanel')).toContainText('kind: Dagger')

  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(page.locator('[data-state="suspended"]')).toBeVisible()
  await page.getByRole('button', { name: 'Start' }).click()
  await expect(page.locator('[data-state="running"]')).toBeVisible()

  // An edit shows first what changes.
  await page.getByRole('link', { name: 'Edit' }).click()
  await write(page, SQL.replace("'60' SECOND) AS", "'60' SECOND ) AS"))
  await page.getByRole('button', { name: 'Review and deploy' }).click()
  const review = page.getByRole('dialog')
  await expect(review.locator('.in')).toContainText("'60' SECOND ) AS")
  await shot(page, '5-review')
  await review.getByRole('button', { name: 'Deploy' }).click()
  await expect(page).toHaveURL(new RegExp(`/daggers/${NAME}$`))
  await expect(page.locator('[data-state="running"]')).toBeVisible()

  await page.getByRole('button', { name: 'Clone, Delete' }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await expect(page.getByRole('dialog')).toContainText(NAME)
  await page.getByRole('button', { name: 'Delete dagger' }).click()
  await expect(page).toHaveURL(/\/daggers$/)
  await expect(page.getByRole('row', { name: new RegExp(NAME) })).toHaveCount(0)
  expect(problems).toEqual([])
})

async function write(page: Page, sql: string) {
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText(sql)
}
