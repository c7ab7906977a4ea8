import { expect, test } from 'vitest'
import { diffLines, folded } from './diff'

const text = (...lines: (string | number)[]) => `${lines.join('\n')}\n`
const drawn = (before: string, after: string) =>
  folded(diffLines(before, after)).map((part) => ('same' in part ? `… ${part.same}` : `${{ same: ' ', in: '+', out: '-' }[part.kind]}${part.text}`))

test('kept, taken out, put in', () => {
  expect(drawn(text('a', 'b', 'c'), text('a', 'x', 'c', 'd'))).toEqual([' a', '-b', '+x', ' c', '+d'])
})

test('long stretches of the same are folded around a change', () => {
  const lines = Array.from({ length: 20 }, (_, index) => index)
  expect(drawn(text(...lines), text(...lines.slice(0, 10), 'new', ...lines.slice(10)))).toEqual(['… 8', ' 8', ' 9', '+new', ' 10', ' 11', '… 8'])
  expect(drawn(text(...lines.slice(0, 5)), text('new', ...lines.slice(0, 5)))).toEqual(['+new', ' 0', ' 1', ' 2', ' 3', ' 4'])
})
