import { describe, expect, it } from 'vitest'
import { clauseAt, columnsOf, groupsOf, rangeOf, stepOf, toggleGroup, withRange, withStep } from './query'
import { nameOf, quotedName, tokens } from './tokens'

const QUERY = 'SELECT sum(*) FROM driver_count_demo_influx_3876 WHERE time > now() - 900s GROUP BY time(30s) fill(null)'

describe('tokens', () => {
  it('know names, texts, durations and regular expressions', () => {
    expect(tokens(`SELECT "a\\"b" FROM /cpu.*/ WHERE h =~ /x\\/y/ AND t > 1h30m -- no\n AND a = 'it\\'s' AND b/2 > 1.5`).map((token) => [token.kind, token.text])).toEqual([
      ['word', 'SELECT'], ['quoted', '"a\\"b"'], ['word', 'FROM'], ['regex', '/cpu.*/'], ['word', 'WHERE'], ['word', 'h'], ['mark', '=~'], ['regex', '/x\\/y/'], ['word', 'AND'],
      ['word', 't'], ['mark', '>'], ['duration', '1h30m'], ['word', 'AND'], ['word', 'a'], ['mark', '='], ['text', "'it\\'s'"], ['word', 'AND'], ['word', 'b'], ['mark', '/'], ['number', '2'], ['mark', '>'], ['number', '1.5'],
    ])
    expect(nameOf(tokens('"a\\"b"')[0])).toBe('a"b')
  })
  it('end with what is unfinished', () => {
    expect(tokens('SELECT "abc').map((token) => token.text)).toEqual(['SELECT', '"abc'])
  })
  it('quote only where it is needed', () => {
    expect(['n', 'a-b', 'group', '1x', 'q"q'].map(quotedName)).toEqual(['n', '"a-b"', '"group"', '"1x"', '"q\\"q"'])
  })
})

describe('the range of a query', () => {
  it('is read and changed where it stands', () => {
    expect(rangeOf(QUERY)).toEqual({ kind: 'last', ms: 900_000 })
    expect(withRange(QUERY, { kind: 'last', ms: 3_600_000 })).toBe(QUERY.replace('900s', '3600s'))
    const between = withRange(QUERY, { kind: 'between', from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z' }) ?? ''
    expect(between).toBe(QUERY.replace('time > now() - 900s', "time >= '2020-01-01T00:00:00Z' AND time <= '2020-01-02T00:00:00Z'"))
    expect(rangeOf(between)).toEqual({ kind: 'between', from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z' })
    expect(withRange(between, { kind: 'last', ms: 900_000 })).toBe(QUERY)
  })
  it('keeps other conditions', () => {
    const query = `SELECT n FROM m WHERE "a" = 'x' AND time > now() - 1h AND b = 'y'`
    expect(withRange(query, { kind: 'last', ms: 60_000 })).toBe(`SELECT n FROM m WHERE "a" = 'x' AND time > now() - 60s AND b = 'y'`)
    expect(withRange("SELECT n FROM m WHERE a = 'x' LIMIT 5", { kind: 'last', ms: 60_000 })).toBe("SELECT n FROM m WHERE time > now() - 60s AND a = 'x' LIMIT 5")
    expect(withRange('SELECT n FROM m LIMIT 5', { kind: 'last', ms: 60_000 })).toBe('SELECT n FROM m WHERE time > now() - 60s LIMIT 5')
  })
  it('is left alone where it is said in another way', () => {
    for (const query of ["SELECT n FROM m WHERE (time > now() - 1h OR a = 'b')", "SELECT n FROM m WHERE time > now() - 1h OR a = 'b'", 'SHOW MEASUREMENTS', 'SELECT 1 FROM a; SELECT 2 FROM b', "SELECT n FROM m WHERE time = '2020-01-01'"]) {
      expect(withRange(query, { kind: 'last', ms: 60_000 })).toBeNull()
    }
    expect(rangeOf('SELECT n FROM m WHERE time > 1500000000000000000')).toBeNull()
    // The inner query's time is its own.
    expect(rangeOf('SELECT mean(a) FROM (SELECT n AS a FROM m WHERE time > now() - 1h)')).toBeNull()
  })
})

describe('tags of a query', () => {
  it('come and go', () => {
    const one = toggleGroup(QUERY, 'city') ?? ''
    expect(one).toBe(QUERY.replace('time(30s)', 'time(30s), city'))
    const two = toggleGroup(one, 'service-type') ?? ''
    expect(groupsOf(two)).toEqual(['city', 'service-type'])
    expect(toggleGroup(toggleGroup(two, 'city') ?? '', 'service-type')).toBe(QUERY)
    expect(stepOf(two)).toBe(30_000)
    expect(stepOf('SELECT n FROM m')).toBeNull()
    expect(withStep(QUERY, '$__interval')).toContain('GROUP BY time($__interval) fill(null)')
  })
  it('make and end a GROUP BY of their own', () => {
    expect(toggleGroup('SELECT n FROM m LIMIT 3', 'a')).toBe('SELECT n FROM m GROUP BY a LIMIT 3')
    expect(toggleGroup('SELECT n FROM m GROUP BY a LIMIT 3', 'a')).toBe('SELECT n FROM m LIMIT 3')
    expect(toggleGroup('SELECT n FROM m GROUP BY a, b', 'a')).toBe('SELECT n FROM m GROUP BY b')
    expect(toggleGroup('SELECT n FROM m GROUP BY a', 'a')).toBe('SELECT n FROM m')
  })
})

it('a clause is known by its place', () => {
  const at = (text: string) => clauseAt(text, text.length)
  expect(at('SELECT su')).toEqual({ clause: 'select', isCall: false })
  expect(at('SELECT sum(')).toEqual({ clause: 'select', isCall: true })
  expect(at('SELECT n FROM ')).toEqual({ clause: 'from', isCall: false })
  expect(at('SELECT n FROM m WHERE time > now() AND ')).toEqual({ clause: 'where', isCall: false })
  expect(at('SELECT n FROM m GROUP BY time(30s), ')).toEqual({ clause: 'group', isCall: false })
  expect([columnsOf(QUERY), columnsOf('SELECT sum(n) FROM m'), columnsOf('SELECT percentile(a, 95), b FROM m')]).toEqual([2, 1, 2])
  expect(columnsOf('SELECT percentile(a, 95) FROM m')).toBe(1)
})
