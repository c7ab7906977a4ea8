// A preview moves while records come: it says so, can be paused, and stops when it is no longer about what is written.
import { expect, test, type Page } from '@playwright/test'

const SQL = `SELECT driver_status AS tag_status, count(1) AS records, TUMBLE_END(rowtime, INTERVAL '10' SECOND) AS window_timestamp
FROM driver_location_ping GROUP BY TUMBLE(rowtime, INTERVAL '10' SECOND), driver_status`
const phase = (page: Page, name: string) => expect(page.locator(`.status[data-phase="${name}"]`)).toBeVisible()
const total = async (page: Page) => (await page.getByRole('region', { name: 'Rows' }).locator('tbody tr').allTextContents()).join('|')

async function open(page: Page, more = '') {
  await page.goto(`/daggers/new?topic=driver-location-ping${more}`)
  await expect(page.locator('[data-checks="ok"]')).toBeVisible()
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText(SQL)
  await expect(page.locator('dd.cols')).toContainText('tag_status')
}

/** Counts the questions from now on. */
function questions(page: Page) {
  const seen: number[] = []
  page.on('request', (request) => { if (request.url().endsWith('/daggers/preview')) seen.push(Date.now()) })
  return seen
}

test('rows and chart move, and the window that has not ended is marked', async ({ page }) => {
  await open(page)
  await page.keyboard.press('Control+Enter')
  await phase(page, 'live')
  await expect(page.getByText(/1:\d\d left/)).toBeVisible()
  const first = page.getByRole('region', { name: 'Rows' }).locator('tbody tr').first()
  await expect(first).toContainText('open')
  const last = page.getByRole('region', { name: 'Rows' }).locator('tbody tr').last()
  await expect(last).not.toContainText('open')
  const before = await total(page)
  const top = (await first.boundingBox())?.y
  await expect.poll(() => total(page)).not.toBe(before)
  expect((await first.boundingBox())?.y).toBe(top)
  // What it is made from stands beside it.
  await expect(page.getByRole('region', { name: /^Newest records of/ })).toContainText('driver_id')
  await page.getByRole('tab', { name: 'Plan' }).click()
  await expect(page.locator('pre.plan')).toContainText('Aggregate')
  await page.getByRole('tab', { name: 'Chart' }).click()
  const plot = page.getByRole('region', { name: 'Preview' }).locator('.plot')
  const newest = Number(await plot.getAttribute('data-newest'))
  await expect.poll(async () => Number(await plot.getAttribute('data-newest')), { timeout: 20_000 }).toBeGreaterThan(newest)
})

test('it pauses, goes on, stops, and begins again', async ({ page }) => {
  await open(page)
  await page.keyboard.press('Control+Enter')
  const region = page.getByRole('region', { name: 'Preview' })
  await region.getByRole('button', { name: 'Pause' }).click()
  await phase(page, 'paused')
  const asked = questions(page)
  const before = await total(page)
  await page.waitForTimeout(2500)
  expect(asked).toEqual([])
  expect(await total(page)).toBe(before)
  await region.getByRole('button', { name: 'Resume' }).click()
  await expect.poll(() => total(page)).not.toBe(before)
  await region.getByRole('button', { name: 'Stop' }).click()
  await phase(page, 'stopped')
  await region.getByRole('button', { name: 'Preview again' }).click()
  await phase(page, 'live')
})

test('another query stops it at once, another name does not', async ({ page }) => {
  await open(page)
  await page.keyboard.press('Control+Enter')
  await expect(page.getByRole('region', { name: 'Rows' })).toBeVisible()
  await page.getByLabel('Name', { exact: true }).fill('another_name')
  await phase(page, 'live')
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+End')
  await page.keyboard.insertText(' -- changed')
  await phase(page, 'changed')
  await expect(page.getByText('The query has changed: preview again.')).toBeVisible()
  // The answer from before is still there to be read.
  await expect(page.getByRole('region', { name: 'Rows' })).toBeVisible()
  const asked = questions(page)
  await page.waitForTimeout(2500)
  expect(asked).toEqual([])
})

test('a failure ends it, and a slow server is asked less often', async ({ page }) => {
  await open(page)
  let isBroken = false
  const broken = { status: 422, contentType: 'application/problem+json', body: JSON.stringify({ code: 'preview_failed', status: 422, detail: 'It broke.' }) }
  await page.route('**/daggers/preview', async (route) => {
    if (isBroken) return route.fulfill(broken)
    await new Promise((resolve) => setTimeout(resolve, 700))
    await route.continue()
  })
  const asked = questions(page)
  await page.keyboard.press('Control+Enter')
  await expect.poll(() => asked.length, { timeout: 30_000 }).toBe(3)
  const gaps = asked.slice(1).map((at, index) => at - (asked[index] ?? 0))
  for (const gap of gaps) expect(gap).toBeGreaterThan(700 * 4)
  isBroken = true
  await phase(page, 'failed')
  await expect(page.getByRole('alert')).toContainText('It broke.')
  await expect(page.getByRole('region', { name: 'Rows' })).toBeVisible()
})

test('it ends after two minutes', async ({ page }) => {
  await page.clock.install()
  await open(page)
  await page.keyboard.press('Control+Enter')
  await phase(page, 'live')
  await page.clock.fastForward(60_000)
  await phase(page, 'live')
  await page.clock.fastForward(65_000)
  await phase(page, 'over')
})
