// The records of a topic: to a time on the histogram, found by a condition or a text, decoded and as bytes.
import AxeBuilder from '@axe-core/playwright'
import { expect, test, type Page } from '@playwright/test'

const TOPIC = '/topics/driver-location-ping'
const filter = (page: Page) => page.getByRole('combobox', { name: 'Filter' })
const rows = (page: Page) => page.locator('tr[data-row]')
const at = (text: string) => `${TOPIC}?filter=${encodeURIComponent(text)}`
/** The end of a reading, and why it came. */
const ended = (page: Page, why: string) => expect(page.locator(`[data-end="${why}"]`)).toBeAttached()
const clean = async (page: Page) => {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  expect(violations.map((violation) => `${violation.id}: ${violation.nodes[0]?.html}`)).toEqual([])
}

test('a click on the histogram reads from that time, by mouse and by keyboard', async ({ page }) => {
  await page.goto(TOPIC)
  const plot = page.getByRole('slider', { name: 'Read from a time' })
  await expect(plot.locator('path').first()).toHaveAttribute('d', /M/)
  await expect(rows(page)).toHaveCount(50)
  // The newest are read: what is marked lies at the end.
  const edge = async () => {
    const [box, mark] = [await plot.boundingBox(), await plot.locator('[data-read]').boundingBox()]
    return box && mark ? (mark.x - box.x) / box.width : Number.NaN
  }
  await expect.poll(edge).toBeGreaterThan(0.9)
  const box = await plot.boundingBox()
  await plot.click({ position: { x: (box?.width ?? 0) * 0.5, y: 30 } })
  await expect(page).toHaveURL(/from=time&time=/)
  await expect.poll(edge).toBeLessThan(0.75)
  const chosen = Date.parse(new URL(page.url()).searchParams.get('time') ?? '')
  const first = await rows(page).first().locator('td').first().getAttribute('title')
  expect(Math.abs(Date.parse(first ?? '') - chosen)).toBeLessThan(60_000)
  await page.goBack()
  await expect(page).toHaveURL(new RegExp(`${TOPIC}$`))
  await expect.poll(edge).toBeGreaterThan(0.9)

  await plot.focus()
  for (const key of ['Home', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key)
  await expect(plot).toHaveAttribute('aria-valuetext', /records, /)
  await expect(plot).toHaveAttribute('aria-valuenow', '2')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/from=time/)
  await expect.poll(edge).toBeLessThan(0.2)
})

test('dragging on the histogram looks closer, and the choice of the time is in the address', async ({ page }) => {
  await page.goto(TOPIC)
  const plot = page.getByRole('slider', { name: 'Read from a time' })
  await expect(plot.locator('path').first()).toHaveAttribute('d', /M/)
  const box = await plot.boundingBox()
  const [x, y, width] = [box?.x ?? 0, (box?.y ?? 0) + 30, box?.width ?? 0]
  await page.mouse.move(x + width * 0.4, y)
  await page.mouse.down()
  await page.mouse.move(x + width * 0.6, y, { steps: 4 })
  await page.mouse.up()
  await expect(page).toHaveURL(/zoom=[^&]+\.\.[^&]+/)
  await expect(page.getByLabel('Time shown')).toHaveValue('zoom')
  await page.getByLabel('Time shown').selectOption('5m')
  await expect(page).toHaveURL(/span=5m/)
  await expect(page).not.toHaveURL(/zoom=/)
})

test('a condition in SQL is looked for on the server', async ({ page }) => {
  await page.goto(TOPIC)
  await expect(rows(page)).toHaveCount(50)
  // Completed by the keyboard: the field, then one of its values.
  await filter(page).fill('driver_st')
  await page.keyboard.press('Tab')
  await expect(filter(page)).toHaveValue('driver_status')
  await page.keyboard.type(" = 'avail")
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await expect(filter(page)).toHaveValue("driver_status = 'AVAILABLE'")
  await page.keyboard.press('Enter')
  await ended(page, 'limit')
  await expect(rows(page)).toHaveCount(50)
  for (const text of await rows(page).allTextContents()) expect(text).toContain('"driver_status":"AVAILABLE"')
  await page.getByRole('button', { name: 'Examples' }).click()
  await expect(page.getByRole('menuitem', { name: / AND / })).toBeVisible()
})

test('a mistake in a condition is marked at the field', async ({ page }) => {
  await page.goto(at("driver_status = 'AVAILABLE' AND statu = 1"))
  await expect(filter(page)).toHaveAttribute('aria-invalid', 'true')
  await expect(page.locator('#filter-help mark')).toHaveText('statu')
  await expect(page.locator('#filter-help')).toContainText('column 33')
  await clean(page)
  await filter(page).fill("driver_status = 'AVAILABLE'")
  await page.keyboard.press('Enter')
  await expect(filter(page)).toHaveAttribute('aria-invalid', 'false')
  await expect(rows(page)).toHaveCount(50)
})

test('a text is looked for in all of it, newest first, with progress and an end', async ({ page }) => {
  await page.goto(TOPIC)
  const key = (await rows(page).first().locator('td.key').textContent()) ?? ''
  await filter(page).fill(key.toLowerCase())
  await page.keyboard.press('Enter')
  await expect(page.getByText('text', { exact: true })).toBeVisible()
  await expect(rows(page).first()).toContainText(key)
  // After a while the demo city has more records than one scan looks at.
  await expect(page.locator('[data-end="end"], [data-end="scan"]')).toBeAttached({ timeout: 60_000 })
  await expect(page.getByText(/looked at, \d+ found/)).toBeVisible()
  const times = await rows(page).locator('td:first-child').allTextContents()
  expect(times).toEqual([...times].sort().reverse())
})

test('a scan can be stopped, and one that has ended at its bound goes on when asked', async ({ page }) => {
  // A scan that takes long, so that there is time to stop it: the answer is held open.
  let closed = false
  await page.route('**/records?*text=never*', async (route) => {
    await route.fulfill({ status: 200, contentType: 'application/x-ndjson', body: `${JSON.stringify({ progress: { scanned: 1_000_000, matched: 0, undecoded: 0, of: 4_000_000, isDone: true, end: 'scan' } })}\n` })
  })
  await page.goto(at('never there'))
  await expect(page.getByText('Ended after 1 M records; there are more.')).toBeVisible()
  await page.getByRole('button', { name: 'Look at ten times as many' }).click()
  await expect(page).toHaveURL(/scan=10000000/)
  await page.unroute('**/records?*text=never*')

  await page.route('**/records?*text=held*', () => undefined)
  page.on('requestfailed', (request) => { closed ||= request.url().includes('text=held') })
  await page.goto(at('held open'))
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  await ended(page, 'stopped')
  expect(closed).toBe(true)
})

test('an open record has its bytes beside it, also from a link', async ({ page }) => {
  await page.goto(TOPIC)
  await rows(page).nth(1).getByRole('button').click()
  const hex = page.locator('.hex')
  await expect(hex).toBeVisible()
  const [tree, bytes] = [await page.locator('.both .tree').boundingBox(), await hex.boundingBox()]
  expect(bytes?.x ?? 0).toBeGreaterThan((tree?.x ?? 0) + (tree?.width ?? 0) - 1)
  await clean(page)
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Save the bytes' }).click()
  expect((await download).suggestedFilename()).toMatch(/^driver-location-ping-\d-\d+\.bin$/)
  const id = new URL(page.url()).searchParams.get('open') ?? ''
  // Newer ones have come since; the link still shows this one.
  await page.goto(`${TOPIC}?limit=20&from=earliest&open=${encodeURIComponent(id)}`)
  const [partition, offset] = id.split('/')
  await expect(page.getByRole('region', { name: `Partition ${partition}, offset ${offset}` }).locator('.hex')).toBeVisible()
})

test('what cannot be decoded shows its bytes, with the broken one marked', async ({ page }) => {
  const answer = await page.request.get('/api/v1/dead-letters?kind=undecodable&limit=1')
  const { items } = (await answer.json()) as { items: { topic: string; partition: number; offset: number; errorByte: number }[] }
  const letter = items[0]
  if (!letter) throw new Error('the demo city has sent no broken record yet')
  await page.goto(`/topics/${letter.topic}?from=offset&p=${letter.partition}&o=${letter.offset}&limit=20&open=${letter.partition}/${letter.offset}`)
  await expect(page.getByText(`breaks at byte ${letter.errorByte}`)).toBeVisible()
  await expect(page.locator('.hex .cells .mark')).toBeVisible()
  await clean(page)
})

test('a tail is filtered on the server, and can be paused', async ({ page }) => {
  const asked: string[] = []
  page.on('request', (request) => { if (request.url().includes('follow=true')) asked.push(decodeURIComponent(request.url())) })
  await page.goto(`${at("driver_status = 'ON_TRIP'")}&tail=1`)
  await expect.poll(() => rows(page).count()).toBeGreaterThan(5)
  expect(asked[0]).toContain("where=driver_status+=+'ON_TRIP'")
  for (const text of (await rows(page).allTextContents()).slice(0, 20)) expect(text).toContain('ON_TRIP')
  await page.getByRole('button', { name: 'Pause tail' }).click()
  const [first] = await rows(page).allTextContents()
  await clean(page)
  expect((await rows(page).allTextContents())[0]).toBe(first)
  await page.getByRole('button', { name: 'Go on' }).click()
  await expect.poll(async () => (await rows(page).allTextContents())[0]).not.toBe(first)
})
