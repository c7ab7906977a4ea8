// The same dagger from a file, with the command line; the portal shows it as what it is.
import { expect, test } from '@playwright/test'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LAB, TOKEN, remove } from './people'

const NAME = `e2e_from_file_${Date.now().toString(36)}`
const MILLRACE = fileURLToPath(new URL('../../target/release/millrace', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'millrace-e2e-'))
const file = join(folder, 'dagger.yaml')
const document = (level: number) => `apiVersion: millrace/v1
kind: Dagger
metadata:
  name: ${NAME}
  group: ${LAB}
spec:
  streams:
    - topics: [driver-location-ping]
      table: supply_data
  sql: |
    SELECT DistinctCount(driver_id) AS drivers, S2Id(latitude, longitude, ${level}) AS label_s2id,
      driver_status AS label_driver_status, TUMBLE_END(rowtime, INTERVAL '60' SECOND) AS window_timestamp
    FROM supply_data
    GROUP BY TUMBLE(rowtime, INTERVAL '60' SECOND), S2Id(latitude, longitude, ${level}), driver_status
`

function apply(level: number): void {
  writeFileSync(file, document(level))
  const server = process.env.MILLRACE_URL ?? 'http://127.0.0.1:8080'
  execFileSync(MILLRACE, ['--server', server, '--token', TOKEN, 'apply', '-f', file, '--wait'], { stdio: 'pipe' })
}

test.afterAll(async () => {
  await remove(`daggers/${NAME}`)
  rmSync(folder, { recursive: true, force: true })
})

test('a dagger from a file is shown as such, moves, and says so before it is edited', async ({ page }) => {
  apply(13)
  await page.goto('/daggers')
  await page.getByRole('searchbox').first().fill(NAME)
  await page.getByRole('link', { name: NAME }).click()
  await expect(page.locator('header.head').locator('[data-state="running"]')).toBeVisible()
  await expect(page.getByText('admin, from a file')).toBeVisible()
  // Its chart and map, as of one that the form made.
  await expect(page.locator('.plot canvas').first()).toBeVisible({ timeout: 90_000 })
  await expect(page.locator('.maplibregl-canvas')).toBeVisible()
  await page.screenshot({ path: 'test-results/file-1-page.png' })

  // The page that is open hears of the next apply by itself.
  apply(12)
  await page.getByRole('tab', { name: 'Revisions' }).click()
  await expect(page.getByRole('button', { name: /^2 admin, from a file/ })).toBeVisible()
  await expect(page.getByText('longitude, 12').first()).toBeVisible()
  await page.screenshot({ path: 'test-results/file-2-revisions.png' })
  await page.getByRole('tab', { name: 'YAML' }).click()
  await expect(page.getByRole('tabpanel')).toContainText(`name: ${NAME}`)

  await page.getByRole('link', { name: 'Edit' }).click()
  await expect(page.getByRole('note')).toContainText('admin applied this dagger from a file.')
})
