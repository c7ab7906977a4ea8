import { expect, test } from 'vitest'
import { spansOf } from './spans'

const seconds = (length: number) => Array.from({ length }, (_, index) => index)
const spans = (values: (number | null)[], columns: number, times = seconds(values.length)) => {
  const { low, high } = spansOf(times, values, [0, values.length - 1], 0, 12, columns)
  return [...low].map((least, column) => (Number.isNaN(least) ? null : [least, high[column]]))
}

test('every column has the smallest and the largest of its values, and goes on from where the one before ended', () => {
  expect(spans([5, 0, 7, 6, 1, 2, 9, 8, 8, 3, 3, 4], 3)).toEqual([[0, 7], [1, 9], [3, 8]])
})

test('a time without a value is a gap only when it is wider than a column', () => {
  expect(spans([1, 1, null, 1, 5, null, null, null, null, 2, 2, 2], 4)).toEqual([[1, 1], [1, 5], null, [2, 2]])
})

test('times that are far apart are joined straight', () => {
  expect(spans([0, 0, 10], 6, [0, 1, 10.1])).toEqual([[0, 0], [2, 2], [4, 4], [6, 6], [8, 8], [8, 10]])
})

test('what lies outside of the range is not drawn at its edge', () => {
  expect(spans([100, 1, 2, 100], 2, [-1, 0, 11, 12])).toEqual([[1, 1], [1, 2]])
})
