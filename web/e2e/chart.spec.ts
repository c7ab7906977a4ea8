// The chart of a dagger: its query in sight, changed by its text and by its controls, in two languages and out to Grafana.
import AxeBuilder from '@axe-core/playwright'
import { expect, test, type Page } from '@playwright/test'
import { readFile } from 'node:fs/promises'

const DAGGER = '/daggers/driver_count_demo'
const QUERY = 'SELECT sum(*) FROM driver_count_demo WHERE time > now() - 900s GROUP BY time(60s) fill(null)'

const option = (page: Page, name: RegExp) => page.locator('.cm-tooltip').getByRole('option', { name })
const chart = (page: Page) => page.getByRole('region', { name: 'Chart', exact: true })
const editor = (page: Page) => chart(page).locator('.cm-content')
const run = (page: Page) => chart(page).getByRole('button', { name: 'Run' }).click()
const shot = (page: Page, name: string) => page.screenshot({ path: `test-results/chart-${name}.png`, fullPage: true })

async function open(page: Page, more = '') {
  await page.goto(`${DAGGER}${more}`)
  await expect(editor(page)).toBeVisible()
}

async function write(page: Page, query: string) {
  await editor(page).click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText(query)
}

test('the page opens with the query, letter for letter, and its lines', async ({ page }) => {
  await open(page)
  await expect(editor(page)).toHaveText(QUERY)
  await expect(chart(page).locator('.plot canvas')).toBeVisible()
  await expect(chart(page).getByRole('button', { name: /^sum_drivers/ })).toBeVisible()
})

test('a click groups by a tag and back, in the text', async ({ page }) => {
  await open(page)
  const chip = chart(page).getByRole('group', { name: 'Group by' }).getByRole('button', { name: 'driver_status' })
  await chip.click()
  await expect(editor(page)).toHaveText(QUERY.replace('time(60s)', 'time(60s), driver_status'))
  await expect(page).toHaveURL(/by=driver_status/)
  const available = chart(page).getByRole('button', { name: /^AVAILABLE/ })
  await available.click()
  await expect(available).toHaveAttribute('aria-pressed', 'false')
  await expect(chart(page).getByRole('button', { name: /^ON_TRIP/ })).toHaveAttribute('aria-pressed', 'true')
  await chip.click()
  await expect(editor(page)).toHaveText(QUERY)

  // In a query of somebody's own it is the text that changes.
  await write(page, QUERY.replace('sum(*)', 'max(drivers)'))
  await run(page)
  await chip.click()
  await expect(editor(page)).toHaveText(QUERY.replace('sum(*)', 'max(drivers)').replace('time(60s)', 'time(60s), driver_status'))
  await expect(page).toHaveURL(/q=SELECT/)
  await expect(chart(page).getByRole('button', { name: /^AVAILABLE/ })).toBeVisible()
  await chart(page).getByRole('button', { name: 'Default query' }).click()
  await expect(editor(page)).toHaveText(QUERY)
})

test('range and refresh are in the address, and come back with it', async ({ page }) => {
  await open(page)
  await chart(page).getByLabel('Range').selectOption('last 6 hours')
  await expect(editor(page)).toContainText('time > now() - 21600s')
  await chart(page).getByLabel('Refresh').selectOption('off')
  await expect(page).toHaveURL(/range=6h/)
  await expect(page).toHaveURL(/refresh=off/)
  const asked: string[] = []
  page.on('request', (request) => { if (request.url().includes('/query?')) asked.push(request.url()) })
  await page.reload()
  await expect(chart(page).getByLabel('Range')).toHaveValue('6h')
  await expect(editor(page)).toContainText('21600s')
  await expect(chart(page).locator('.plot canvas')).toBeVisible()
  const before = asked.length
  await chart(page).getByLabel('Refresh').selectOption('live')
  await expect.poll(() => asked.length).toBeGreaterThan(before + 2)

  await chart(page).getByLabel('Range').selectOption('custom …')
  await chart(page).getByLabel('From').fill('2026-01-01T00:00')
  await chart(page).getByLabel('To', { exact: true }).fill('2025-01-01T00:00')
  await expect(chart(page).getByText('The end has to be after the beginning.')).toBeVisible()
  await chart(page).getByLabel('To', { exact: true }).fill('2026-01-01T01:00')
  await shot(page, 'custom')
  await chart(page).getByRole('button', { name: 'Show', exact: true }).click()
  await expect(editor(page)).toContainText(/time >= '202[56]-.*' AND time <= '202[56]-/)
})

test('mistakes are said in words, at their place', async ({ page }) => {
  await open(page)
  await write(page, QUERY.replace('FROM', 'FORM'))
  await page.keyboard.press('Control+Enter')
  await expect(chart(page).getByText('Line 1, column 15: FORM stands where FROM is expected. Did you mean FROM?')).toBeVisible()
  await expect(chart(page).locator('.cm-lintRange-error')).toHaveText('FORM')
  await shot(page, 'mistake')
  await write(page, QUERY.replace('sum(*)', 'sums(drivers)'))
  await run(page)
  await expect(chart(page).getByText('There is no function sums(). Did you mean sum?')).toBeVisible()
  await write(page, QUERY.replace('sum(*)', 'sum(drivrs)'))
  await run(page)
  await expect(chart(page).getByText('The measurement has no field and no tag drivrs. Did you mean drivers?')).toBeVisible()
  await expect(chart(page).getByText('No points in this time')).toBeVisible()
  await shot(page, 'empty')
})

test('what can be written next is offered', async ({ page }) => {
  await open(page)
  await write(page, 'SELECT mea')
  await expect(option(page, /^mean/)).toBeVisible()
  // The page asks for its dagger every two seconds, and the list stays open.
  await page.waitForTimeout(3000)
  await option(page, /^mean/).click()
  await page.keyboard.type('dri')
  await option(page, /^drivers/).click()
  await page.keyboard.press('End')
  await page.keyboard.insertText(' FROM ')
  await page.keyboard.type('driver')
  await option(page, /^driver_count_demo/).click()
  await page.keyboard.insertText(' GROUP BY ')
  await page.keyboard.type('dr')
  await expect(option(page, /^driver_status/)).toBeVisible()
  await expect(option(page, /^drivers/)).toHaveCount(0)
  await page.screenshot({ path: 'test-results/chart-completion.png' })
  await option(page, /^driver_status/).click()
  await expect(editor(page)).toHaveText('SELECT mean(drivers) FROM driver_count_demo GROUP BY driver_status')
})

test('the same in SQL, and what was written stays in its language', async ({ page }) => {
  await open(page, '?by=driver_status')
  await chart(page).getByRole('button', { name: 'SQL', exact: true }).click()
  await expect(editor(page)).toContainText("date_bin(INTERVAL '60 seconds', time) AS time")
  await expect(chart(page).getByRole('button', { name: /^AVAILABLE/ })).toBeVisible({ timeout: 90_000 })
  await shot(page, 'sql')
  await write(page, 'SELECT time, drivers FROM driver_count_dem')
  await run(page)
  await expect(chart(page).getByText(/there is no measurement `driver_count_dem`/)).toBeVisible()
  await expect(chart(page).getByLabel('Range')).toBeDisabled()
  await chart(page).getByRole('button', { name: 'InfluxQL' }).click()
  await expect(editor(page)).toHaveText(QUERY.replace('time(60s)', 'time(60s), driver_status'))
  await chart(page).getByRole('button', { name: 'SQL', exact: true }).click()
  await expect(editor(page)).toHaveText('SELECT time, drivers FROM driver_count_dem')
})

test('too many lines are said, and more can be asked for', async ({ page }) => {
  await open(page, '?by=s2id')
  await expect(chart(page).getByText(/Shown are the 8 greatest of [\d,]+ lines\./)).toBeVisible()
  await chart(page).getByRole('button', { name: 'Show 20' }).click()
  await expect(chart(page).getByText(/Shown are the 20 greatest/)).toBeVisible()
  await shot(page, 'many')
})

test('a table, a file, and Grafana', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await open(page, '?by=driver_status')
  await expect(chart(page).locator('.plot canvas')).toBeVisible()
  await chart(page).getByRole('button', { name: 'Table' }).click()
  await expect(chart(page).getByRole('columnheader', { name: 'sum_drivers' })).toBeVisible()
  await shot(page, 'table')
  const [download] = await Promise.all([page.waitForEvent('download'), chart(page).getByRole('button', { name: 'CSV' }).click()])
  expect((await readFile(await download.path(), 'utf8')).split('\n')[0]).toBe('time,driver_status,sum_drivers')

  await chart(page).getByRole('button', { name: 'Grafana' }).click()
  await page.screenshot({ path: 'test-results/chart-grafana.png' })
  await page.getByRole('menuitem', { name: 'Copy as Grafana panel' }).click()
  await expect(page.getByText(/The panel is on the clipboard/)).toBeVisible()
  const panel = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as { type: string; targets: { query: string; alias: string }[] }
  await context.route('https://grafana.example.com/**', (route) => route.fulfill({ contentType: 'text/html', body: 'Grafana' }))
  await chart(page).getByRole('button', { name: 'Grafana' }).click()
  const [explore] = await Promise.all([context.waitForEvent('page'), page.getByRole('menuitem', { name: 'Open in Grafana' }).click()])
  await explore.waitForLoadState()
  expect(new URL(explore.url()).searchParams.get('panes')).toContain('$timeFilter GROUP BY time(60s), driver_status fill(null)')
  await explore.close()
  expect(panel.type).toBe('timeseries')
  expect(panel.targets[0]).toMatchObject({ alias: '$col $tag_driver_status', query: 'SELECT sum(*) FROM driver_count_demo WHERE $timeFilter GROUP BY time($__interval), driver_status fill(null)' })
})

test('several measures are several lines', async ({ page }) => {
  await open(page)
  await write(page, QUERY.replace('sum(*)', 'sum(drivers) AS total, max(drivers) AS most'))
  await run(page)
  for (const name of [/^total/, /^most/]) await expect(chart(page).getByRole('button', { name })).toBeVisible()
})

test('an answer that takes long is awaited in words', async ({ page }) => {
  await page.route(/\/query\?/, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 4000))
    await route.continue()
  })
  await open(page)
  await expect(chart(page).getByText(/Waits for the answer, \d+ s/)).toBeVisible()
  await expect(chart(page).locator('.plot canvas')).toBeVisible()
  await expect(chart(page).getByText(/Waits for the answer/)).toHaveCount(0)
})

test('hovering reads the values', async ({ page }) => {
  await open(page, '?by=driver_status')
  const plot = chart(page).locator('.plot canvas')
  await expect(plot).toBeVisible()
  const box = await plot.boundingBox()
  if (!box) throw new Error('the plot has no place on the page')
  const readout = chart(page).locator('.readout')
  // A young dagger has its first points at the right end, so the pointer comes from there.
  await expect(async () => {
    for (let x = box.width - 24; x > 60 && !(await readout.isVisible()); x -= 24) await page.mouse.move(box.x + x, box.y + box.height / 2)
    await expect(readout).toContainText('AVAILABLE', { timeout: 500 })
  }).toPass({ timeout: 90_000 })
  await expect(readout).toContainText(/\d/)
  await shot(page, 'hover')
})

test('a server without InfluxQL has the chart in SQL', async ({ page }) => {
  await page.route(/\/query\?/, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }))
  await open(page)
  await expect(editor(page)).toContainText('date_bin')
  await expect(chart(page).getByRole('button', { name: 'InfluxQL' })).toHaveCount(0)
  await expect(chart(page).locator('.plot canvas')).toBeVisible({ timeout: 90_000 })
})

test('a server that fails is said, and the rest of the page lives', async ({ page }) => {
  await page.route(/\/query\?/, (route) => route.fulfill({ status: 503, json: { error: 'timeout' } }))
  await open(page)
  await expect(chart(page).getByText('timeout')).toBeVisible()
  await expect(chart(page).getByText('No chart yet')).toBeVisible()
  await expect(page.getByText('adds up')).toBeVisible()
  await shot(page, 'failing')
})

test('the form says which tag will have too many values', async ({ page }) => {
  await page.goto('/daggers/new?topic=ride-booking-log')
  await expect(page.locator('[data-checks="ok"]')).toBeVisible()
  const table = await page.getByLabel('Table', { exact: true }).inputValue()
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText(`SELECT order_number AS tag_order, status AS tag_status, count(1) AS n, TUMBLE_END(rowtime, INTERVAL '10' SECOND) AS window_timestamp
FROM ${table} GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND), order_number, status`)
  await expect(page.locator('dd.cols')).toContainText('tag_order')
  await page.keyboard.press('Control+Enter')
  await expect(page.getByText(/the tag `tag_order` will have too many values/).first()).toBeVisible({ timeout: 60_000 })
  await expect(page.getByRole('listitem').filter({ hasText: 'tag_status' }).filter({ hasText: /\d values/ })).toBeVisible()
  await shot(page, 'tags')
})

for (const [width, height] of [[1440, 900], [390, 844]] as const) {
  for (const scheme of ['light', 'dark'] as const) {
    test(`${width} wide, ${scheme}`, async ({ page }) => {
      await page.setViewportSize({ width, height })
      await page.emulateMedia({ colorScheme: scheme })
      await open(page, '?by=driver_status')
      await expect(chart(page).getByRole('button', { name: /^AVAILABLE/ })).toBeVisible()
      await shot(page, `${width}-${scheme}`)
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      expect(overflow).toBeLessThanOrEqual(0)
      const { violations } = await new AxeBuilder({ page }).exclude('.maplibregl-map').analyze()
      expect(violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(' ')).join(', ')}`)).toEqual([])
    })
  }
}
