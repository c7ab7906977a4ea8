import { expect, test, vi } from 'vitest'
import { explain, nearest, unknownName } from './errors'

vi.mock('../i18n', async () => ({ t: (await import('../../messages/en')).en }))

test('a parse error stands at its place, in words', () => {
  expect(explain('error parsing query: found FORM, expected FROM at line 1, char 15', 'SELECT sum(n) FORM m')).toEqual({
    message: 'FORM stands where FROM is expected.', hint: 'Did you mean FROM?', line: 1, column: 15,
  })
  expect(explain('error parsing query: found EOF, expected FROM, INTO at line 1, char 14', 'SELECT sum(n)')).toEqual({ message: 'The query ends where FROM or INTO is expected.', line: 1, column: 14 })
})

test('an error without a place is put at the word that it names', () => {
  expect(explain('error parsing query: undefined function sums()', 'SELECT\n  sums(n) FROM m')).toEqual({ message: 'There is no function sums().', hint: 'Did you mean sum?', line: 2, column: 3 })
  expect(explain('mixing aggregate and non-aggregate queries is not supported', 'SELECT a, sum(n) FROM m')).toEqual({ message: 'mixing aggregate and non-aggregate queries is not supported' })
  expect(explain('expected field argument in percentile()', 'SELECT percentile(95) FROM m')).toMatchObject({ line: 1, column: 8 })
})

test('a name that is not there is told, where the answer is only empty', () => {
  const shape = { measurement: 'm', columns: ['time', 'drivers', 'status'].map((name) => ({ name, type: 'x' })) }
  expect(unknownName('SELECT sum(drivrs) FROM m WHERE time > now() - 1h', shape)).toEqual({ message: 'The measurement has no field and no tag drivrs.', hint: 'Did you mean drivers?', line: 1, column: 12 })
  expect(unknownName(`SELECT sum("drivers") AS n FROM "m" WHERE "status" = 'x' GROUP BY time(30s), status fill(null)`, shape)).toBeNull()
  expect(unknownName('SELECT a FROM elsewhere', { ...shape, columns: [...shape.columns, { name: 'a', type: 'x' }] })).toBeNull()
  expect([nearest('dirvers', ['drivers']), nearest('xyz', ['drivers'])]).toEqual(['drivers', null])
})
