// The chart library and its styles, as one lazily loaded piece.
import 'uplot/dist/uPlot.min.css'
import uPlot from 'uplot'
import { spansOf, type Spans } from './spans'

export default uPlot

const line = uPlot.paths.linear?.()

/**
 * uPlot's own line as long as its points can be told apart; then the spans of columns as wide as the line, as one filled
 * shape. That has the look of the line with every peak in it, and costs the same for a thousand points and a million.
 */
export const paths: uPlot.Series.PathBuilder = (plot, index, from, to) => {
  const series = plot.series[index]
  const thickness = (series?.width ?? 1) * uPlot.pxRatio
  const { left, top, width, height } = plot.bbox
  const columns = Math.round(width / thickness)
  if (to - from <= columns) return line?.(plot, index, from, to) ?? null
  const [x, y] = [plot.scales.x, plot.scales[series?.scale ?? 'y']]
  const [begin, end, least, most] = [x?.min ?? 0, x?.max ?? 0, y?.min ?? 0, y?.max ?? 0]
  const spans = spansOf(plot.data[0], plot.data[index] ?? [], [from, to], begin, end - begin, columns)
  const yOf = (value: number) => top + (height * (most - value)) / (most - least)
  const stroke = series?.stroke
  return { stroke: null, fill: band(spans, left, width / columns, thickness / 2, yOf), _fill: typeof stroke === 'function' ? stroke(plot, index) : stroke ?? '#000', flags: 0 }
}

/** One shape for each row of columns that have values: along their upper ends and back along the lower ones. */
function band({ low, high }: Spans, left: number, step: number, half: number, yOf: (value: number) => number): Path2D {
  const path = new Path2D()
  const columns = low.length
  const [upper, lower] = [(column: number) => yOf(high[column] ?? 0) - half, (column: number) => yOf(low[column] ?? 0) + half]
  for (let first = 0; first < columns; first++) {
    if (Number.isNaN(low[first])) continue
    let last = first
    while (last + 1 < columns && !Number.isNaN(low[last + 1])) last++
    path.moveTo(left + first * step, upper(first))
    for (let column = first; column <= last; column++) path.lineTo(left + (column + 0.5) * step, upper(column))
    path.lineTo(left + (last + 1) * step, upper(last))
    path.lineTo(left + (last + 1) * step, lower(last))
    for (let column = last; column >= first; column--) path.lineTo(left + (column + 0.5) * step, lower(column))
    path.lineTo(left + first * step, lower(first))
    path.closePath()
    first = last
  }
  return path
}
