// Drives the chart in Chromium and reads from a trace what the main thread did for every frame.
import { chromium } from '@playwright/test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, preview } from 'vite'

const LIMIT_MS = 1000 / 60
const SHAPES = [{ lines: 8, points: 12_500 }, { lines: 1, points: 100_000 }]
const MOVES = 240
/** Parts of the whole that a zoom shows, from nearly all down to fewer points than pixels. */
const ZOOMS = Array.from({ length: 24 }, (_, index) => 0.8 / 2 ** (index % 6))
const ARRIVALS = 24

const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url))
const root = fileURLToPath(new URL('.', import.meta.url))
const outDir = await mkdtemp(join(tmpdir(), 'millrace-chart-'))
const options = { configFile, root, logLevel: 'error', build: { outDir, emptyOutDir: true }, preview: { host: '127.0.0.1', port: 0, proxy: {} } }
await build(options)
const site = await preview(options)
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const results = []
try {
  for (const shape of SHAPES) results.push(...await measure(shape))
} finally {
  await browser.close()
  await site.close()
  await rm(outDir, { recursive: true })
}
const worst = results.reduce((a, b) => (b.workMs.p95 > a.workMs.p95 ? b : a))
const ours = worst.workMs.p95
console.log(JSON.stringify({ name: 'chart', ours, limit: round(LIMIT_MS), unit: "ms, 95th percentile of a frame's work", ratio: round(LIMIT_MS / ours), worst: `${worst.shape}: ${worst.what}` }))
process.exitCode = ours <= LIMIT_MS ? 0 : 1

async function measure({ lines, points }) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 480 } })
  await page.goto(`${site.resolvedUrls.local[0]}?lines=${lines}&points=${points}`)
  const over = page.locator('.u-over')
  await over.waitFor()
  await page.waitForTimeout(1000)
  const box = await over.boundingBox()
  const at = (part) => [box.x + box.width * part, box.y + box.height * (0.5 + 0.3 * Math.sin(part * 20))]
  const shape = `${lines} x ${points}`
  const found = []
  const scene = async (play, counted) => {
    for (const result of await traced(page, play, counted)) {
      found.push({ shape, ...result })
      console.error(JSON.stringify(found.at(-1)))
    }
  }

  await scene(async () => {
    for (let i = 0; i < MOVES; i++) await page.mouse.move(...at((i % 120) / 120))
  }, { 'the crosshair moves': isInput('mousemove') })
  await scene(async () => {
    for (const part of ZOOMS) {
      await page.mouse.move(...at(0.5 - part / 2))
      await page.mouse.down()
      await page.mouse.move(...at(0.5 + part / 2), { steps: 10 })
      await page.mouse.up()
      await page.waitForTimeout(80)
      await over.dispatchEvent('dblclick')
      await page.waitForTimeout(80)
    }
  }, { 'a range is dragged': isInput('mousemove'), 'zoomed in': isInput('mouseup'), 'zoom reset': isInput('dblclick') })
  const toChartMs = []
  await scene(async () => {
    for (let i = 0; i < ARRIVALS; i++) {
      toChartMs.push(await page.evaluate(() => window.arrive()))
      await page.waitForTimeout(1000)
    }
  }, { 'data arrives': (event) => event.name === 'arrival' })
  console.error(JSON.stringify({ shape, what: 'the rows of an answer become lines', toChartMs: spread(toChartMs) }))
  await page.close()
  return found
}

function isInput(type) {
  return (event) => event.name === 'EventDispatch' && event.args?.data?.type === type
}

/** What the main thread did in the frames that have an event of each kind that counts. */
async function traced(page, play, kinds) {
  await browser.startTracing(page, { categories: ['-*', 'toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline', 'blink.user_timing'] })
  const intervals = page.evaluate(() => new Promise((resolve) => {
    const times = []
    window.finish = () => resolve(times.slice(1).map((time, index) => time - times[index]))
    const frame = (now) => {
      times.push(now)
      requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
  }))
  await play()
  await page.evaluate(() => window.finish())
  const frameMs = spread(await intervals)
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString())
  return Object.entries(kinds).map(([what, counts]) => {
    const work = framesOf(traceEvents, counts)
    return { what, frames: work.length, workMs: spread(work), over: work.filter((ms) => ms > LIMIT_MS).length, frameMs }
  })
}

function framesOf(events, counts) {
  // Only the page has the events that count, so its main thread is theirs.
  const thread = events.find(counts)
  if (!thread) throw new Error('the trace has none of the events that count')
  const ours = events.filter((event) => event.pid === thread.pid && event.tid === thread.tid).sort((a, b) => a.ts - b.ts)
  const frames = [{ ms: 0, isCounted: false }]
  let taskEnds = 0
  for (const event of ours) {
    const frame = frames.at(-1)
    if (event.name === 'RunTask' && event.ts >= taskEnds) {
      taskEnds = event.ts + event.dur
      frame.ms += (event.tdur ?? event.dur) / 1000
    }
    if (counts(event)) frame.isCounted = true
    // A frame ends when what it drew is handed over.
    if (event.name === 'Commit') frames.push({ ms: 0, isCounted: false })
  }
  return frames.filter((frame) => frame.isCounted).map((frame) => frame.ms)
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0)
  return { p50: at(0.5), p95: at(0.95), max: at(1) }
}

function round(value) {
  return Math.round(value * 100) / 100
}
