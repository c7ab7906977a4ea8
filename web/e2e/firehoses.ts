// What the tests of firehoses share: a topic of orders of their own, and the words of the page.
import AxeBuilder from '@axe-core/playwright'
import { expect, type Page } from '@playwright/test'
import { api } from './people'

export interface Order { order_number: string; customer_id: string; status: string; price: number }

const SCHEMA = 'city.booking.v1.BookingLog'
export const CANCELLED = 'CANCELLED_BY_CUSTOMER'

export async function makeTopic(name: string): Promise<void> {
  const server = await api()
  const made = await server.post('/api/v1/topics', { data: { apiVersion: 'millrace/v1', kind: 'Topic', metadata: { name }, spec: { schema: SCHEMA, partitions: 2 } } })
  expect(made.ok(), await made.text()).toBe(true)
  await server.dispose()
}

export async function publish(topic: string, orders: Order[]): Promise<void> {
  const server = await api()
  const records = orders.map((order) => ({ key: order.customer_id, value: { ...order, product: 'FOOD', event_timestamp: new Date().toISOString() } }))
  const answer = await server.post(`/api/v1/topics/${topic}/records`, { data: { records } })
  expect(answer.ok(), await answer.text()).toBe(true)
  await server.dispose()
}

/** Every third is completed, the others are cancelled. */
export const orders = (from: number, to: number, price: (number: number) => number): Order[] => Array.from({ length: to - from }, (_, index) => {
  const number = from + index
  return { order_number: `F-${number}`, customer_id: `C-${number % 7}`, status: number % 3 === 0 ? 'COMPLETED' : CANCELLED, price: price(number) }
})
export const cancelled = (all: Order[]) => all.filter((order) => order.status === CANCELLED)

export const filter = (page: Page) => page.getByRole('textbox', { name: 'Filter' })

export async function write(page: Page, where: ReturnType<Page['locator']>, text: string) {
  await where.click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText(text)
  // What is offered to be written next would take the next key.
  await page.keyboard.press('Escape')
}

export async function chooseTopic(page: Page, topic: string) {
  await page.getByRole('combobox', { name: 'Topic', exact: true }).fill(topic)
  await page.getByRole('option', { name: new RegExp(`^${topic}`) }).click()
}

export const trial = (page: Page) => page.getByRole('region', { name: 'What becomes of records' })
export const checks = (page: Page, state: 'ok' | 'bad' | 'open') => expect(page.locator(`[data-checks="${state}"]`)).toBeVisible()
export const state = (page: Page, name: string) => expect(page.locator('header.head').locator(`[data-state="${name}"]`)).toBeVisible({ timeout: 30_000 })

/** A number of the ledger above the tabs, by its word. */
export const cell = (page: Page, word: string) => page.getByRole('region', { name: /^Ledger:/ }).locator('div').filter({ has: page.locator('dt', { hasText: new RegExp(`^${word}$`) }) }).locator('dd')

export async function ledger(page: Page, numbers: Record<string, number>) {
  for (const [word, number] of Object.entries(numbers)) await expect(cell(page, word)).toHaveText(String(number), { timeout: 60_000 })
  await expect(page.getByRole('region', { name: /^Ledger:/ }).getByText('adds up')).toBeVisible()
  const rows = page.getByRole('region', { name: 'Ledger of each partition' }).getByRole('row').filter({ hasNot: page.getByRole('columnheader') })
  for (const row of await rows.all()) await expect(row).toContainText('adds up')
}

export async function clean(page: Page) {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  expect(violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html).join(' | ')}`)).toEqual([])
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBeLessThanOrEqual(0)
}
