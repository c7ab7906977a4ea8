import type { Page } from '@playwright/test'

/** How many pixels of the map have a saturated colour, as the ramp has and the ground has not. */
export async function mapPixels(page: Page): Promise<number> {
  const canvas = page.locator('canvas.maplibregl-canvas')
  if ((await canvas.count()) === 0) return 0
  const png = (await canvas.screenshot()).toString('base64')
  return page.evaluate(async (encoded) => {
    // Not by fetch: the page's content security policy rightly refuses data: addresses.
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0))
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
    const drawing = new OffscreenCanvas(image.width, image.height).getContext('2d')
    if (!drawing) return 0
    drawing.drawImage(image, 0, 0)
    const { data } = drawing.getImageData(0, 0, image.width, image.height)
    let count = 0
    for (let at = 0; at < data.length; at += 4) {
      const rgb = [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0]
      if (Math.max(...rgb) - Math.min(...rgb) > 60) count++
    }
    return count
  }, png)
}
