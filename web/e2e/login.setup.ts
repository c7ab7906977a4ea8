// Somebody is invited, opens the link, chooses a password, and is logged in; later tests go on as them.
import { expect, test as setup, type APIRequestContext, type Page } from '@playwright/test'
import { api, LAB, PASSWORD, stateOf } from './people'

async function invite(server: APIRequestContext, name: string, isAdmin: boolean): Promise<string> {
  const made = await server.post('/api/v1/users', { data: { name, displayName: name, admin: isAdmin } })
  const answer = made.ok() ? made : await server.post(`/api/v1/users/${name}/invitation`)
  expect(answer.status()).toBe(201)
  const { link } = (await answer.json()) as { link: string }
  return link
}

/** The tour offers itself to whoever is new; it has a test of its own. */
const skipTour = (page: Page) => page.addInitScript(() => localStorage.setItem('tour', 'done'))

async function choosePassword(page: Page, link: string) {
  await page.goto(link)
  await expect(page.getByRole('heading', { name: 'Welcome' })).toBeVisible()
  const button = page.getByRole('button', { name: 'Set password and log in' })
  await page.getByLabel('New password').fill('short')
  await page.getByLabel('The same once more').fill('short')
  await expect(button).toBeDisabled()
  await page.getByLabel('New password').fill(PASSWORD)
  await page.getByLabel('The same once more').fill(PASSWORD)
  await button.click()
  await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
}

setup('groups and people', async () => {
  const server = await api()
  const group = await server.post('/api/v1/groups', { data: { name: LAB, description: 'For trying things' } })
  expect([201, 409]).toContain(group.status())
  for (const [name, isAdmin] of [['operator', true], ['analyst', false], ['reader', false]] as const) await invite(server, name, isAdmin)
  for (const [where, user, role] of [['default', 'analyst', 'editor'], [LAB, 'analyst', 'editor'], ['default', 'reader', 'viewer']] as const) {
    expect((await server.post(`/api/v1/groups/${where}/members`, { data: { user, role } })).status()).toBe(204)
  }
  await server.dispose()
})

for (const [state, name] of [['admin', 'operator'], ['analyst', 'analyst'], ['reader', 'reader']] as const) {
  setup(`${name} logs in`, async ({ page }) => {
    await skipTour(page)
    const server = await api()
    await choosePassword(page, await invite(server, name, false))
    await server.dispose()
    // Out, and in again by name and password.
    await page.getByRole('button', { name: `Logged in as ${name}` }).click()
    await page.getByRole('menuitem', { name: 'Log out' }).click()
    await expect(page.getByRole('heading', { name: 'Log in' })).toBeVisible()
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Password').fill('wrong password')
    await page.getByRole('button', { name: 'Log in' }).click()
    await expect(page.getByRole('alert')).toBeVisible()
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Log in' }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
    await page.context().storageState({ path: stateOf(state) })
  })
}
