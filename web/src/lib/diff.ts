// Lines of two texts side by side: kept, taken out, put in. The longest common subsequence is enough for queries.

export interface DiffLine {
  kind: 'same' | 'out' | 'in'
  text: string
}

export function diffLines(before: string, after: string): DiffLine[] {
  const [a, b] = [before.trimEnd().split('\n'), after.trimEnd().split('\n')]
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1))
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = lengths[i]
      if (row) row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: DiffLine[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: 'same', text: a[i] ?? '' })
      i++
      j++
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) lines.push({ kind: 'out', text: a[i++] ?? '' })
    else lines.push({ kind: 'in', text: b[j++] ?? '' })
  }
  return lines
}

/** So many lines that are the same stay before and after a change. */
const CONTEXT = 2
/** Fewer are not worth a fold. */
const FOLD_MIN = 4

/** The lines, with long stretches of the same ones as their number. */
export function folded(lines: DiffLine[]): (DiffLine | { same: number })[] {
  const isNear = (index: number) => lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some((line) => line.kind !== 'same')
  const parts: (DiffLine | { same: number })[] = []
  for (let at = 0; at < lines.length; ) {
    let end = at
    while (end < lines.length && !isNear(end)) end++
    if (end - at >= FOLD_MIN) parts.push({ same: end - at })
    else parts.push(...lines.slice(at, end))
    at = end
    for (; at < lines.length && isNear(at); at++) parts.push(...lines.slice(at, at + 1))
  }
  return parts
}
