// Kafka clusters, admins of the platform, since when somebody is a member.
import AxeBuilder from '@axe-core/playwright'
import { expect, test } from '@playwright/test'
import { api, remove, stateOf, TOKEN } from './people'

test.skip(!TOKEN, 'needs MILLRACE_ADMIN_TOKEN')
test.use({ storageState: stateOf('admin') })
const PERSON = `e2e-person-${Date.now().toString(36)}`

test.afterAll(() => remove(`users/${PERSON}`))

for (const [width, colorScheme] of [[1440, 'light'], [390, 'dark']] as const) {
  test.describe(`${width} ${colorScheme}`, () => {
    test.use({ viewport: { width, height: 844 }, colorScheme })
    test('the built-in Kafka cluster says what lies in it, and offers nothing that cannot be done', async ({ page }) => {
      await page.goto('/settings?tab=kafka&cluster=embedded')
      const panel = page.getByRole('tabpanel')
      await expect(panel.getByRole('heading', { level: 2, name: 'embedded' })).toBeVisible()
      const records = await panel.locator('dd.num').nth(2).getAttribute('title')
      expect(Number(records?.replace(/\D/g, ''))).toBeGreaterThan(1000)
      await expect(panel.getByRole('meter', { name: 'Size on disk' })).toBeVisible()
      await expect(panel.getByRole('button', { name: /^(Edit|Delete)/ })).toHaveCount(0)
      await page.screenshot({ path: `test-results/settings-kafka-${width}-${colorScheme}.png` })
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
      const { violations } = await new AxeBuilder({ page }).analyze()
      expect(violations.map((violation) => `${violation.id}: ${violation.nodes[0]?.html}`)).toEqual([])
    })
  })
}

test('the platform is given and taken, and a refusal stands in the dialog', async ({ page }) => {
  const server = await api()
  expect((await server.post('/api/v1/users', { data: { name: PERSON, displayName: PERSON, admin: false } })).status()).toBe(201)
  const isAdmin = async () => ((await (await server.get('/api/v1/users')).json()) as { items: { name: string; admin: boolean }[] }).items.find(({ name }) => name === PERSON)?.admin
  await page.goto('/settings?tab=people')
  const row = page.getByRole('row', { name: new RegExp(PERSON) })
  const choose = async (item: string, verb: string) => {
    await row.getByRole('button', { name: 'Actions' }).click()
    await page.getByRole('menuitem', { name: item }).click()
    await page.getByRole('dialog').getByRole('button', { name: verb }).click()
  }
  await choose('Make admin of the platform', 'Make admin')
  await expect(row).toContainText('platform admin')
  expect(await isAdmin()).toBe(true)

  // The real server has other admins, so that nobody here is the last one.
  const detail = `${PERSON} is the last admin of the platform.`
  await page.route(`**/api/v1/users/${PERSON}`, (route) => route.fulfill({ status: 409, contentType: 'application/problem+json', json: { code: 'last_admin', title: 'Conflict', status: 409, detail, hint: 'Make somebody else one first.' } }), { times: 1 })
  await choose('No longer admin of the platform', 'Take away')
  await expect(page.getByRole('dialog').getByRole('alert')).toContainText('Make somebody else one first.')
  await page.getByRole('dialog').getByRole('button', { name: 'Take away' }).click()
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(row).not.toContainText('platform admin')
  expect(await isAdmin()).toBe(false)
  await server.dispose()
})

test('since when somebody is in a group', async ({ page }) => {
  await page.goto('/settings?tab=groups&group=lab')
  await expect(page.getByRole('columnheader', { name: 'Since' })).toBeVisible()
  await expect(page.getByRole('row', { name: /analyst/ })).toContainText(/\d+ (s|min|h) ago/)
})
