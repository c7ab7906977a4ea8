// What InfluxDB says is wrong with a query, in words and at its place.
import type { Shape } from '../measurement'
import type { QueryError } from '../api'
import { t } from '../i18n'
import { INFLUX_FUNCTIONS, INFLUX_KEYWORDS } from './functions'
import { nameOf, tokens, type Token } from './tokens'

const PARSE = /^(?:error parsing query: )?found (.*), expected (.*) at line (\d+), char (\d+)$/s

/** `said` is InfluxDB's error, word for word. */
export function explain(said: string, query: string): QueryError {
  const found = PARSE.exec(said)
  if (found) {
    const [, what = '', expected = '', line, column] = found
    const wanted = expected.split(', ').join(` ${t.chart.or} `)
    const message = what === 'EOF' ? t.chart.endsEarly(wanted) : t.chart.standsWhere(what, wanted)
    return { message, ...hinted(nearest(what, expected.split(', '))), line: Number(line), column: Number(column) }
  }
  const text = said.replace(/^error parsing query: /, '')
  const place = /^(.*) at line (\d+), char (\d+)$/s.exec(text)
  if (place) return { message: place[1] ?? text, line: Number(place[2]), column: Number(place[3]) }
  const unknown = /undefined function (\w+)\(\)/.exec(text)?.[1]
  if (unknown) return { message: t.chart.noFunction(unknown), ...hinted(nearest(unknown, INFLUX_FUNCTIONS.map((entry) => entry.name))), ...placeOf(query, (token) => token.text === unknown) }
  // Whatever it names is most likely what is wrong.
  const named = [...text.matchAll(/[\w.*]+|"[^"]+"/g)].map((word) => word[0].replaceAll('"', '')).filter((word) => !KEYWORDS.has(word.toLowerCase()))
  const spot = placeOf(query, (token) => token.kind !== 'mark' && named.includes(nameOf(token) ?? token.text))
  return { message: text, ...spot }
}

const KEYWORDS = new Set(INFLUX_KEYWORDS.split(' '))
const WORDS = new Set([...KEYWORDS, ...INFLUX_FUNCTIONS.map((entry) => entry.name), 'time', 'true', 'false', 'autogen', 'cardinality', 'exact'])
const hinted = (near: string | null) => (near ? { hint: t.chart.didYouMean(near) } : {})

/** A name that the measurement does not have, for an answer that is empty: InfluxDB says nothing of it. */
export function unknownName(query: string, shape: Pick<Shape, 'measurement' | 'columns'>): QueryError | null {
  const list = tokens(query)
  const known = shape.columns.map((column) => column.name)
  const aliases = list.flatMap((token, index) => (list[index - 1]?.text.toLowerCase() === 'as' ? [nameOf(token) ?? ''] : []))
  let isFrom = false
  for (const [index, token] of list.entries()) {
    const word = token.kind === 'word' ? token.text.toLowerCase() : ''
    if (word === 'from') isFrom = true
    else if (['where', 'group', 'order', 'limit', 'fill'].includes(word)) isFrom = false
    const name = nameOf(token)
    const isCall = list[index + 1]?.text === '('
    if (name === null || isCall || (token.kind === 'word' && WORDS.has(word)) || aliases.includes(name)) continue
    const isPart = list[index - 1]?.text === '.' || list[index + 1]?.text === '.' || list[index - 1]?.text === '::'
    if (isPart) continue
    const candidates = isFrom ? [shape.measurement] : known
    if (candidates.includes(name)) continue
    // Another measurement is another question.
    if (isFrom) return null
    return { message: t.chart.noName(name), ...hinted(nearest(name, candidates)), ...at(query, token) }
  }
  return null
}

function placeOf(query: string, is: (token: Token) => boolean): { line?: number; column?: number } {
  const token = tokens(query).find(is)
  return token ? at(query, token) : {}
}

function at(query: string, token: Token): { line: number; column: number } {
  const before = query.slice(0, token.from)
  return { line: before.split('\n').length, column: token.from - before.lastIndexOf('\n') }
}

/** The candidate that is a slip of the finger away. */
export function nearest(name: string, candidates: string[]): string | null {
  const wanted = name.toLowerCase()
  const rated = candidates.map((candidate) => ({ candidate, distance: distance(wanted, candidate.toLowerCase()) })).sort((a, b) => a.distance - b.distance)
  const [best] = rated
  return best && best.distance > 0 && best.distance <= Math.max(1, Math.floor(name.length / 3)) ? best.candidate : null
}

/** Letters to add, drop, change, or swap with the next one. */
function distance(a: string, b: string): number {
  const rows: number[][] = [...Array(a.length + 1).keys()].map((i) => [i, ...Array<number>(b.length).fill(0)])
  rows[0] = [...Array(b.length + 1).keys()]
  const cell = (i: number, j: number) => rows[i]?.[j] ?? 0
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      let least = Math.min(cell(i - 1, j) + 1, cell(i, j - 1) + 1, cell(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, cell(i - 2, j - 2) + 1)
      ;(rows[i] ?? [])[j] = least
    }
  }
  return cell(a.length, b.length)
}
