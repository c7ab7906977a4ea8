// What else can be done: topics, records, schemas, dead letters, Explore.
import { expect, test } from '@playwright/test'
import { remove } from './people'

const TOPIC = `e2e-topic-${Date.now().toString(36)}`

test.afterAll(() => remove(`topics/${TOPIC}`))

test('a topic is made, written by hand, read, filtered and deleted', async ({ page }) => {
  await page.goto('/topics')
  await page.getByRole('button', { name: 'New topic' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name', { exact: true }).fill(TOPIC)
  await dialog.getByRole('combobox', { name: 'Schema' }).fill('ApiLog')
  await dialog.getByRole('option', { name: /ApiLog/ }).click()
  await dialog.getByRole('button', { name: 'Create topic' }).click()
  await expect(page).toHaveURL(new RegExp(`/topics/${TOPIC}`))
  await expect(page.getByText('No records', { exact: true })).toBeVisible()

  await page.getByRole('tab', { name: 'Produce' }).click()
  await page.getByRole('button', { name: 'Fill in an example' }).click()
  await page.getByRole('button', { name: 'Produce record' }).click()
  await expect(page.getByText('Partition 0, offset 0.')).toBeVisible()
  const value = page.getByLabel('Value', { exact: true })
  await value.fill((await value.inputValue()).replace('"service"', '"servce"'))
  await page.getByRole('button', { name: 'Produce record' }).click()
  await expect(page.getByRole('alert')).toContainText('did you mean `service`?')

  await page.getByRole('tab', { name: 'Records' }).click()
  await page.getByRole('button', { name: '0/0' }).click()
  await expect(page.getByText('Partition 0, offset 0', { exact: true })).toBeVisible()
  await page.getByRole('combobox', { name: 'Filter' }).fill("service = 'nobody'")
  await page.keyboard.press('Enter')
  await expect(page.getByText('No record matches the filter.')).toBeVisible()

  await page.getByRole('button', { name: 'Actions' }).click()
  await page.getByRole('menuitem', { name: 'Delete topic' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete topic' }).click()
  await expect(page).toHaveURL(/\/topics$/)
})

test('a mistake in an uploaded schema stands at its line', async ({ page }) => {
  await page.goto('/schemas')
  await page.getByRole('button', { name: 'Upload' }).click()
  await page.locator('input[type=file]').setInputFiles({ name: 'broken.proto', mimeType: 'text/plain', buffer: Buffer.from('syntax = "proto3";\npackage e2e.broken;\nmessage A { strng id = 1; }\n') })
  await page.getByRole('button', { name: 'Upload schemas' }).click()
  await expect(page.getByRole('alert')).toContainText('strng')
  await page.screenshot({ path: 'test-results/6-upload.png' })
})

test('Explore answers, and underlines a mistake', async ({ page }) => {
  await page.goto(`/explore?q=${encodeURIComponent('SELECT time, service_nam FROM api_health')}`)
  await expect(page.getByRole('alert')).toContainText('service_nam')
  await page.goto(`/explore?as=chart&q=${encodeURIComponent('SELECT time, tag_service, requests FROM api_health ORDER BY time')}`)
  await expect(page.locator('.plot canvas')).toBeVisible()
  await page.getByRole('tab', { name: 'Table' }).click()
  await expect(page.getByRole('columnheader', { name: 'tag_service' })).toBeVisible()
})

test('a dead letter shows where it broke, and says what a replay does', async ({ page }) => {
  await page.goto('/dead-letters?kind=undecodable')
  await page.locator('[data-row] [data-open]').first().click()
  await page.locator('.body a').first().click()
  await expect(page.locator('.cells .mark')).toBeVisible()
  await page.getByRole('button', { name: 'Replay record' }).click()
  await expect(page.getByRole('dialog')).toContainText('once more through')
})
