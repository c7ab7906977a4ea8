// What is left of a line that has more points than pixels: the smallest and the largest value in each column of pixels.

export interface Spans {
  /** The smallest and the largest value of each column of pixels; not a number where there is none. */
  low: Float64Array
  high: Float64Array
}

type Values = ArrayLike<number | null | undefined>

/** The spans of the points from one index to another, over columns of equal width from a time on. */
export function spansOf(times: ArrayLike<number>, values: Values, [from, to]: [number, number], begin: number, seconds: number, columns: number): Spans {
  const low = new Float64Array(columns).fill(NaN)
  const high = new Float64Array(columns).fill(NaN)
  const perSecond = columns / seconds
  let column = -1
  let before: number | null = null
  let [least, most] = [NaN, NaN]
  for (let index = from; index <= to; index++) {
    const value = values[index]
    const at = Math.floor(((times[index] ?? 0) - begin) * perSecond)
    if (value === null || value === undefined || at < 0 || at >= columns) {
      before = null
      continue
    }
    if (at === column) {
      if (value < least) low[at] = least = value
      else if (value > most) high[at] = most = value
    } else {
      if (before !== null) {
        // Straight over the columns that have no point, and on from where the last column ended.
        const step: number = (value - before) / (at - column)
        for (let between = column + 1; between < at; between++) low[between] = high[between] = before + step * (between - column)
        before = value - step
      }
      low[at] = least = Math.min(value, before ?? value)
      high[at] = most = Math.max(value, before ?? value)
      column = at
    }
    before = value
  }
  return { low, high }
}
