// Accounts: what a session is, what a role shows, and what happens when either changes under one's hands.
import { expect, test } from '@playwright/test'
import { api, LAB, PASSWORD, remove, stateOf, TOKEN } from './people'

test.skip(!TOKEN, 'needs MILLRACE_ADMIN_TOKEN')
const STAMP = Date.now().toString(36)
const DAGGER = `e2e_two_hands_${STAMP}`
const draft = (sql: string) => ({
  apiVersion: 'millrace/v1', kind: 'Dagger', metadata: { name: DAGGER },
  spec: { streams: [{ schema: 'city.driver.v1.DriverLocationPing', topics: ['driver-location-ping'], table: 'pings', timestamp: 'event_timestamp' }], sql, sinks: [{ kind: 'log' }], state: 'suspended' },
})
const SQL = 'SELECT driver_id AS tag_driver, rowtime AS window_timestamp, 1 AS one FROM pings'

test.afterAll(() => remove(`daggers/${DAGGER}`, `groups/e2e-${STAMP}`, `users/e2e-${STAMP}`, `secrets/e2e-${STAMP}`))

test('a session that ends under a form: log in, and the form goes on as it was', async ({ page, context }) => {
  await page.goto('/daggers/new?topic=driver-location-ping')
  await expect(page.locator('[data-checks="ok"]')).toBeVisible()
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText('SELECT driver_id AS tag_mine, speed_kmh, rowtime AS window_timestamp FROM driver_location_ping')
  await context.clearCookies()
  await page.keyboard.press('Control+Enter')
  const dialog = page.getByRole('dialog', { name: 'Log in to go on' })
  await expect(dialog).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(dialog).toBeVisible()
  await page.screenshot({ path: 'test-results/access-expired.png' })
  await dialog.getByLabel('Password').fill(PASSWORD)
  await dialog.getByRole('button', { name: 'Log in', exact: true }).click()
  await expect(dialog).toHaveCount(0)
  await expect(page.locator('.cm-content')).toContainText('tag_mine')
  // What was asked before the login is answered after it.
  await expect(page.getByRole('region', { name: 'Preview' }).getByRole('columnheader', { name: 'tag_mine' })).toBeVisible()
})

test('somebody else changes the dagger meanwhile', async ({ page }) => {
  const server = await api()
  expect((await server.post('/api/v1/daggers', { data: draft(SQL) })).ok()).toBe(true)
  await page.goto(`/daggers/${DAGGER}/edit`)
  await expect(page.locator('.cm-content')).toContainText('tag_driver')
  expect((await server.post('/api/v1/daggers', { data: draft(SQL.replace('1 AS one', '2 AS two')) })).ok()).toBe(true)
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+End')
  await page.keyboard.insertText(' WHERE driver_id IS NOT NULL')
  await page.getByRole('button', { name: 'Review and deploy' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Deploy' }).click()
  const conflict = page.getByRole('dialog', { name: 'Changed meanwhile' })
  await expect(conflict.locator('.in')).toContainText('2 AS two')
  await page.screenshot({ path: 'test-results/access-conflict.png' })
  await conflict.getByRole('button', { name: 'Overwrite with mine' }).click()
  await expect(page).toHaveURL(new RegExp(`/daggers/${DAGGER}$`))
  const after = (await (await server.get(`/api/v1/daggers/${DAGGER}`)).json()) as { spec: { sql: string } }
  expect(after.spec.sql).toContain('WHERE driver_id IS NOT NULL')
  await server.dispose()
})

test('a button that is pressed while the connection is lost acts once', async ({ page }) => {
  await page.goto(`/daggers/${DAGGER}`)
  const keys: string[] = []
  let losses = 2
  await page.route('**/start', async (route) => {
    keys.push(route.request().headers()['idempotency-key'] ?? '')
    // The order arrives, its answer does not.
    if (losses-- > 0) {
      await route.fetch()
      await route.abort('connectionreset')
    } else await route.continue()
  })
  await page.getByRole('button', { name: 'Start' }).click()
  await expect(page.getByText(`${DAGGER} runs.`)).toBeVisible()
  expect(keys.length).toBe(3)
  expect(new Set(keys).size).toBe(1)
  expect(keys[0]).not.toBe('')
})

test.describe('who may only read', () => {
  test.use({ storageState: stateOf('reader') })

  test('sees everything, and why there is no button', async ({ page }) => {
    await page.goto('/daggers/surge')
    await expect(page.getByText(/needs the role editor in the group default/)).toBeVisible()
    await expect(page.getByRole('button', { name: 'Stop' })).toHaveCount(0)
    await expect(page.getByRole('link', { name: 'Edit' })).toHaveCount(0)
    await page.screenshot({ path: 'test-results/access-reader.png' })
    await page.goto('/daggers')
    await expect(page.getByRole('link', { name: 'New dagger' })).toHaveCount(0)
    await page.goto('/settings?tab=people')
    await expect(page.getByRole('tab', { name: 'People' })).toHaveCount(0)
  })
})

test.describe('who decides for everybody', () => {
  test.use({ storageState: stateOf('admin') })

  test('makes a group, invites somebody, gives a role, and finds it all in the audit log', async ({ page }) => {
    const name = `e2e-${STAMP}`
    await page.goto('/settings?tab=groups')
    await page.getByRole('button', { name: 'Make group' }).click()
    await page.getByRole('dialog').getByLabel('Name').fill(name)
    await page.getByRole('dialog').getByRole('button', { name: 'Make group' }).click()
    await expect(page.getByRole('heading', { level: 2, name })).toBeVisible()

    await page.getByRole('tab', { name: 'People' }).click()
    await page.getByRole('button', { name: 'Invite somebody' }).click()
    await page.getByRole('dialog').getByLabel('Name to log in with').fill(name)
    await page.getByRole('dialog').getByRole('button', { name: 'Make the link' }).click()
    await expect(page.getByRole('dialog')).toContainText('/welcome#')
    await page.getByRole('button', { name: 'I have copied it' }).click()
    await expect(page.getByRole('row', { name: new RegExp(name) })).toContainText('invited')

    await page.goto(`/settings?tab=groups&group=${name}`)
    await page.getByRole('button', { name: 'Add member' }).click()
    await page.getByRole('dialog').getByLabel('User').fill(name)
    await page.getByRole('dialog').getByRole('radio', { name: /^editor/ }).check()
    await page.getByRole('dialog').getByRole('button', { name: 'Add member' }).click()
    await expect(page.getByLabel(`Role: ${name}`)).toHaveValue('editor')
    await page.getByLabel(`Role: ${name}`).selectOption('viewer')
    await expect(page.getByText(`${name} is viewer in ${name}.`)).toBeVisible()

    await page.getByRole('tab', { name: 'Audit' }).click()
    const lines = page.getByRole('tabpanel').getByRole('listitem').filter({ hasText: name })
    await expect(lines.first()).toBeVisible()
    await lines.first().getByRole('button').click()
    await expect(page.locator('.detail')).toBeVisible()
    await page.screenshot({ path: 'test-results/access-audit.png' })
  })

  test('tokens and secrets are shown once, or never', async ({ page }) => {
    await page.goto('/settings?tab=tokens')
    await page.getByRole('button', { name: 'Make token' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill(`e2e-${STAMP}`)
    await dialog.getByRole('checkbox', { name: 'Write daggers' }).check()
    await dialog.getByRole('button', { name: 'Make token' }).click()
    const secret = (await page.getByRole('dialog').locator('code').textContent()) ?? ''
    expect(secret.length).toBeGreaterThan(20)
    await page.getByRole('button', { name: 'I have copied it' }).click()
    const row = page.getByRole('row', { name: new RegExp(`e2e-${STAMP}`) })
    await expect(row).toContainText('Write daggers')
    await expect(page.locator('body')).not.toContainText(secret)
    await row.getByRole('button', { name: /Revoke/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await expect(row).toHaveCount(0)

    await page.goto('/settings?tab=secrets')
    await page.getByRole('button', { name: 'Add secret' }).first().click()
    await page.getByRole('dialog').getByLabel('Name').fill(`e2e-${STAMP}`)
    await page.getByRole('dialog').getByLabel('Group').selectOption(LAB)
    await page.getByRole('dialog').getByLabel('Value').fill('never-shown-again')
    await page.getByRole('dialog').getByRole('button', { name: 'Add secret' }).click()
    await expect(page.getByRole('row', { name: new RegExp(`e2e-${STAMP}`) })).toContainText(LAB)
    await expect(page.locator('body')).not.toContainText('never-shown-again')
  })
})

test('the tour leads through the city once, and can be had again', async ({ page }) => {
  await page.addInitScript(() => {
    if (!sessionStorage.getItem('begun')) localStorage.removeItem('tour')
    sessionStorage.setItem('begun', '1')
  })
  await page.goto('/')
  const tour = page.getByRole('region', { name: 'Tour' })
  await expect(tour).toContainText('1 of 5')
  await tour.getByRole('button', { name: 'Next' }).click()
  await expect(page).toHaveURL(/driver_count_demo/)
  await page.screenshot({ path: 'test-results/access-tour.png' })
  for (let step = 0; step < 3; step++) await tour.getByRole('button', { name: 'Next' }).click()
  await expect(page).toHaveURL(/\/explore/)
  await tour.getByRole('button', { name: 'Done' }).click()
  await page.goto('/')
  await expect(page.getByRole('heading', { name: 'Home' })).toBeVisible()
  await expect(tour).toHaveCount(0)
  await page.keyboard.press('?')
  await page.getByRole('button', { name: 'Tour of the demo city' }).click()
  await expect(tour).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(tour).toHaveCount(0)
})
