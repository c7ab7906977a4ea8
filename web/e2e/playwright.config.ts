// Against a server that runs: MILLRACE_URL says where, MILLRACE_ADMIN_TOKEN lets the tests make their accounts. Chromium is the system's, or the one in CHROMIUM.
import { defineConfig } from '@playwright/test'
import { stateOf, TOKEN } from './people'

export default defineConfig({
  testDir: '.',
  outputDir: '../test-results',
  timeout: 180_000,
  expect: { timeout: 15_000 },
  fullyParallel: false,
  workers: 1,
  // Shown as flaky when the second try passes.
  retries: process.env.CI ? 1 : 0,
  reporter: [['list']],
  projects: [
    ...(TOKEN ? [{ name: 'login', testMatch: '**/login.setup.ts' }] : []),
    { name: 'portal', testMatch: '**/*.spec.ts', ...(TOKEN ? { dependencies: ['login'], use: { storageState: stateOf('analyst') } } : {}) },
  ],
  use: {
    baseURL: process.env.MILLRACE_URL ?? 'http://127.0.0.1:8080',
    locale: 'en-GB',
    actionTimeout: 15_000,
    screenshot: 'only-on-failure',
    trace: 'retain-on-failure',
    // Without a graphics card the map is drawn in software.
    launchOptions: { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--enable-unsafe-swiftshader'] },
  },
})
