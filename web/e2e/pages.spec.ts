// Every page at both widths and in both themes: it has its heading, nothing overflows, axe finds nothing.
import AxeBuilder from '@axe-core/playwright'
import { expect, test } from '@playwright/test'
import { NOBODY, stateOf, TOKEN } from './people'

const pages: [name: string, path: string, heading: string | RegExp][] = [
  ['home', '/', 'Home'], ['daggers', '/daggers', 'Daggers'], ['dagger', '/daggers/driver_count_demo', 'driver_count_demo'], ['flow', '/daggers/surge?tab=flow', 'surge'], ['part', '/daggers/surge?tab=flow&node=source%3A1', 'surge'], ['new', '/daggers/new?topic=driver-location-ping', 'New dagger'], ['edit', '/daggers/surge/edit', 'Edit surge'],
  ['firehoses', '/firehoses', 'Firehoses'], ['new-firehose', '/firehoses/new?topic=food-booking-log', 'New firehose'], ['topics', '/topics', 'Topics'], ['topic', '/topics/driver-location-ping', 'driver-location-ping'], ['record', '/topics/driver-location-ping?from=offset&p=0&o=100&limit=20&open=0%2F100', 'driver-location-ping'], ['found', "/topics/driver-location-ping?filter=driver_status%20%3D%20'ON_TRIP'&cols=driver_id,speed_kmh", 'driver-location-ping'], ['tail', '/topics/api-log?tail=1', 'api-log'], ['produce', '/topics/api-log?tab=produce', 'api-log'], ['schemas', '/schemas/city.booking.v1.BookingLog', 'Schemas'], ['dead-letters', '/dead-letters', 'Dead letters'], ['explore', '/explore', 'Explore'], ['settings', '/settings', 'Settings'], ['nothing', '/nothing', /nothing/],
  ['revisions', '/daggers/surge?tab=revisions', 'surge'], ['history', '/daggers/surge?tab=history', 'surge'],
  ...(TOKEN ? ['groups', 'people', 'tokens', 'secrets', 'clusters', 'kafka', 'audit'].map((tab): [string, string, string] => [tab, `/settings?tab=${tab}`, 'Settings']) : []),
]
// Before somebody is logged in.
const outside: typeof pages = TOKEN ? [['login', '/daggers?state=running', 'Log in'], ['welcome', '/welcome#an-invitation', 'Welcome'], ['failed', '/login?problem=The%20provider%20said%20no.', 'Log in']] : []

for (const width of [1440, 390]) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test.describe(`${width} ${colorScheme}`, () => {
      test.use({ viewport: { width, height: width < 500 ? 844 : 900 }, colorScheme })
      for (const [list, storageState] of [[pages, TOKEN ? stateOf('admin') : undefined], [outside, NOBODY]] as const) {
        test.describe(list === pages ? 'inside' : 'outside', () => {
          if (storageState) test.use({ storageState })
          for (const [name, path, heading] of list) {
            test(name, async ({ page }) => {
              await page.goto(path)
              await expect(page.getByRole('heading', { level: 1, name: heading })).toBeAttached()
              await page.waitForTimeout(1200)
              await page.screenshot({ path: `test-results/pages/${name}-${width}-${colorScheme}.png` })
              expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
              const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
              expect(violations.map((violation) => `${violation.id}: ${violation.nodes[0]?.html}`)).toEqual([])
            })
          }
        })
      }
    })
  }
}
