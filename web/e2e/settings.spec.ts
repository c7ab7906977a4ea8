// Kafka clusters, admins of the platform, since when somebody is a member: answered here, so that each case is seen.
import AxeBuilder from '@axe-core/playwright'
import { expect, test, type Page } from '@playwright/test'
import { stateOf, TOKEN } from './people'

test.skip(!TOKEN, 'needs MILLRACE_ADMIN_TOKEN')
test.use({ storageState: stateOf('admin') })

const metadata = { name: 'embedded', group: 'default', labels: {}, generation: 1, created: '2026-01-01T00:00:00Z', updated: '2026-01-01T00:00:00Z' }
const embedded = {
  apiVersion: 'millrace/v1', kind: 'KafkaCluster', metadata, spec: { type: 'embedded' },
  status: { state: 'running', topics: 12, partitions: 31, records: 4_812_377, bytes: 91e9, diskFreeBytes: 9e9, directory: '/var/lib/millrace/a-directory-with-a-long-name/log' },
}
const clusters = (page: Page, answer: object, status = 200) =>
  page.route('**/api/v1/kafka-clusters', (route) => route.fulfill({ status, contentType: status === 200 ? 'application/json' : 'application/problem+json', json: answer }))

for (const [width, colorScheme] of [[1440, 'light'], [390, 'dark']] as const) {
  test.describe(`${width} ${colorScheme}`, () => {
    test.use({ viewport: { width, height: 844 }, colorScheme })
    test('the built-in Kafka cluster says what lies in it, and offers nothing that cannot be done', async ({ page }) => {
      await clusters(page, { items: [embedded], total: 1 })
      await page.goto('/settings?tab=kafka')
      const panel = page.getByRole('tabpanel')
      await expect(panel.getByRole('heading', { level: 2, name: 'embedded' })).toBeVisible()
      await expect(panel).toContainText('4.81 M')
      await expect(panel.getByRole('meter', { name: 'Size on disk' })).toHaveAttribute('aria-valuenow', '91')
      await expect(panel).toContainText('cannot be connected yet')
      await expect(panel.getByRole('button')).toHaveCount(2) // the cluster in the list, and the copy of its directory
      await page.screenshot({ path: `test-results/settings-kafka-${width}-${colorScheme}.png` })
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
      const { violations } = await new AxeBuilder({ page }).analyze()
      expect(violations.map((violation) => `${violation.id}: ${violation.nodes[0]?.html}`)).toEqual([])
    })
  })
}

test('a server that knows no Kafka clusters is no error', async ({ page }) => {
  await clusters(page, { code: 'route_not_found', title: 'Not found', status: 404, detail: 'There is no such route.' }, 404)
  await page.goto('/settings?tab=kafka')
  await expect(page.getByRole('tabpanel')).toContainText('Nothing here yet.')
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test('the platform is given and taken, but not from the last admin', async ({ page }) => {
  const person = { name: 'analyst', displayName: 'analyst', admin: false, hasPassword: true, created: '2026-01-01T00:00:00Z' }
  const sent: unknown[] = []
  await page.route('**/api/v1/users', (route) => route.fulfill({ json: { items: [person] } }))
  await page.route('**/api/v1/users/analyst', async (route) => {
    sent.push([route.request().method(), route.request().postDataJSON()])
    if (sent.length === 2) return route.fulfill({ status: 409, contentType: 'application/problem+json', json: { code: 'last_admin', title: 'Conflict', status: 409, detail: 'analyst is the last admin of the platform.', hint: 'Make somebody else one first.' } })
    person.admin = !person.admin
    await route.fulfill({ json: person })
  })
  await page.goto('/settings?tab=people')
  const row = page.getByRole('row', { name: /analyst/ })
  const choose = async (item: string, verb: string) => {
    await row.getByRole('button', { name: 'Actions' }).click()
    await page.getByRole('menuitem', { name: item }).click()
    await page.getByRole('dialog').getByRole('button', { name: verb }).click()
  }
  await choose('Make admin of the platform', 'Make admin')
  await expect(row).toContainText('platform admin')
  await choose('No longer admin of the platform', 'Take away')
  await expect(page.getByRole('dialog').getByRole('alert')).toContainText('Make somebody else one first.')
  await page.getByRole('dialog').getByRole('button', { name: 'Take away' }).click()
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(row).not.toContainText('platform admin')
  expect(sent).toEqual([['PUT', { platformAdmin: true }], ['PUT', { platformAdmin: false }], ['PUT', { platformAdmin: false }]])
})

test('since when somebody is in a group', async ({ page }) => {
  const since = new Date(Date.now() - 3 * 86_400_000).toISOString()
  await page.route('**/api/v1/groups/*/members', (route) => route.fulfill({ json: { items: [{ user: 'analyst', role: 'editor', since }] } }))
  await page.goto('/settings?tab=groups&group=lab')
  await expect(page.getByRole('columnheader', { name: 'Since' })).toBeVisible()
  await expect(page.getByRole('row', { name: /analyst/ })).toContainText('3 d ago')
})
