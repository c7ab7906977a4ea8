// The graph of a running dagger: every part with its numbers, the edges with their rows, by mouse and by keyboard.
import AxeBuilder from '@axe-core/playwright'
import { expect, test, type Page } from '@playwright/test'

interface Operator { id: string; kind: string; name: string; inputs: string[]; recordsIn: number; busyShare: number }

async function operators(page: Page): Promise<Operator[]> {
  const answer = await page.request.get('/api/v1/daggers/surge')
  return ((await answer.json()) as { status: { operators: Operator[] } }).status.operators
}
const across = (page: Page) => page.locator('.graph').getAttribute('data-across')

test('every operator is a part of the graph, with the rows along each edge', async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 })
  await page.goto('/daggers/surge?tab=flow')
  const flow = page.getByRole('region', { name: 'Flow' })
  await expect(flow.locator('.node')).not.toHaveCount(0)
  expect(await across(page)).toBe('true')
  const parts = await operators(page)
  // Five topics are read beside them.
  await expect(flow.locator('.node')).toHaveCount(parts.length + 5)
  await expect(flow.locator('svg path')).toHaveCount(parts.flatMap((part) => part.inputs).length + 5)
  for (const part of parts) await expect(flow.locator(`.node.${part.kind}`, { hasText: part.name }).first()).toBeVisible()
  await expect(flow.locator('.node .tag')).toHaveText('busiest')
  // The drivers ping the whole time, by night fewer of them: their rows are counted on the way.
  await expect(flow.locator('.rows', { hasText: /[1-9]\d\d\/s|k\/s/ }).first()).toBeVisible()
})

test('a part is chosen by keyboard, tells all of its numbers, and stands in the address', async ({ page }) => {
  await page.goto('/daggers/surge?tab=flow')
  const window = page.locator('.node.window').last()
  await window.focus()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/node=window/)
  await expect(window).toHaveAttribute('aria-expanded', 'true')
  const details = page.getByRole('region', { name: /^windows:/ })
  await expect(details).toContainText('Rows in')
  await expect(details).toContainText('Groups in open windows')
  const before = await details.textContent()
  await expect.poll(() => details.textContent()).not.toBe(before)
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  expect(violations.map((violation) => `${violation.id}: ${violation.nodes[0]?.html}`)).toEqual([])
  await page.keyboard.press('Enter')
  await expect(details).toHaveCount(0)
})

test('on a phone it goes from top to bottom', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto('/daggers/surge?tab=flow')
  await expect(page.locator('.node.sink')).toBeVisible()
  expect(await across(page)).toBe('false')
  const [source, sink] = [await page.locator('.node.source').first().boundingBox(), await page.locator('.node.sink').boundingBox()]
  expect(sink?.y ?? 0).toBeGreaterThan((source?.y ?? 0) + 300)
})

test('a server that measures nothing still shows the way', async ({ page }) => {
  await page.route('**/api/v1/daggers/surge', async (route) => {
    const answer = await route.fetch()
    const dagger = (await answer.json()) as { status: { operators?: unknown } }
    delete dagger.status.operators
    await route.fulfill({ response: answer, json: dagger })
  })
  await page.goto('/daggers/surge?tab=flow')
  await expect(page.locator('.flow .lane').first()).toBeVisible()
  await expect(page.locator('.graph')).toHaveCount(0)
})
