// Every dialog of accounts and daggers, wide and light, narrow and dark: it fits, axe finds nothing, Escape closes it.
import AxeBuilder from '@axe-core/playwright'
import { expect, test, type Page } from '@playwright/test'
import { stateOf, TOKEN } from './people'

test.skip(!TOKEN, 'needs MILLRACE_ADMIN_TOKEN')
test.use({ storageState: stateOf('admin') })

const press = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name }).first().click()
const choose = (item: string) => async (page: Page) => {
  await page.getByRole('button', { name: /^Actions: surge/ }).click()
  await page.getByRole('menuitem', { name: item }).click()
}
const dialogs: [name: string, path: string, open: (page: Page) => Promise<void>, title: RegExp][] = [
  ['publish', '/daggers/surge?tab=yaml', choose('Publish to a topic'), /^Publish surge/],
  ['fork', '/daggers/surge?tab=yaml', choose('Fork'), /^Fork surge/],
  ['delete', '/daggers/surge?tab=yaml', choose('Delete'), /^Delete surge/],
  ['group', '/settings?tab=groups', press('Make group'), /^Make group/],
  ['member', '/settings?tab=groups', press('Add member'), /^Add member/],
  ['person', '/settings?tab=people', press('Invite somebody'), /^Invite somebody/],
  ['token', '/settings?tab=tokens', press('Make token'), /^Make token/],
  ['secret', '/settings?tab=secrets', press('Add secret'), /^Add secret/],
  ['cluster', '/settings?tab=clusters', press('Make cluster'), /^Make cluster/],
  ['topic', '/topics', press('New topic'), /^New topic/],
  ['password', '/', async (page) => {
    await page.getByRole('button', { name: 'Logged in as operator' }).click()
    await page.getByRole('menuitem', { name: 'Change password' }).click()
  }, /^Change password/],
  ['review', '/daggers/surge/edit', async (page) => {
    await page.locator('.cm-content').click()
    await page.keyboard.press('Control+End')
    await page.keyboard.insertText('\n-- again')
    await page.getByRole('button', { name: 'Review and deploy' }).click()
    await expect(page.locator('[data-verdict]')).toBeVisible()
  }, /^Deploy the change/],
]

for (const [width, colorScheme] of [[1440, 'light'], [390, 'dark']] as const) {
  test.describe(`${width} ${colorScheme}`, () => {
    test.use({ viewport: { width, height: width < 500 ? 844 : 900 }, colorScheme })
    for (const [name, path, open, title] of dialogs) {
      test(name, async ({ page }) => {
        await page.goto(path)
        await expect(page.getByRole('heading', { level: 1 })).toBeAttached()
        await open(page)
        const dialog = page.getByRole('dialog', { name: title })
        await expect(dialog).toBeVisible()
        await page.waitForTimeout(300)
        await page.screenshot({ path: `test-results/dialogs/${name}-${width}-${colorScheme}.png` })
        const box = await dialog.boundingBox()
        expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(width)
        const { violations } = await new AxeBuilder({ page }).include('dialog').withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
        expect(violations.map((violation) => `${violation.id}: ${violation.nodes[0]?.html}`)).toEqual([])
        await page.keyboard.press('Escape')
        await expect(dialog).toHaveCount(0)
      })
    }
  })
}
