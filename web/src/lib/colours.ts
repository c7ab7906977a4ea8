// Colours for canvases, which know nothing of custom properties: resolved from the tokens.

const probe = document.createElement('i')
probe.hidden = true
const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true })

/** The colour of a token as it is in the theme of the moment, as #rrggbb. */
export function colour(token: string): string {
  document.body.append(probe)
  probe.style.color = `var(${token})`
  const css = getComputedStyle(probe).color
  probe.remove()
  if (!pixel) return css
  pixel.clearRect(0, 0, 1, 1)
  pixel.fillStyle = css
  pixel.fillRect(0, 0, 1, 1)
  const [r = 0, g = 0, b = 0] = pixel.getImageData(0, 0, 1, 1).data
  return `#${[r, g, b].map((part) => part.toString(16).padStart(2, '0')).join('')}`
}

export const seriesToken = (index: number, isOthers = false) => (isOthers ? '--s-others' : `--s${(index % 8) + 1}`)

/** Viridis (Smith and van der Walt, public domain), from few to many. */
export const VIRIDIS = ['#440154', '#482878', '#3e4a89', '#31688e', '#26828e', '#1f9e89', '#35b779', '#6ece58', '#b5de2b', '#fde725']
