// Parts of an InfluxQL query that the chart's controls read and change: its time range, its tags, its step. Everything else
// stays as somebody wrote it.
import { isWord, nameOf, quotedName, tokens, type Token } from './tokens'

/** The time that a chart shows: up to now, or between two times (RFC 3339). */
export type Range = { kind: 'last'; ms: number } | { kind: 'between'; from: string; to: string }

const CLAUSES = ['select', 'from', 'where', 'group', 'fill', 'order', 'limit', 'offset', 'slimit', 'soffset', 'tz']
export type Clause = (typeof CLAUSES)[number]

interface Part { clause: Clause; head: number; tokens: Token[] }

/** The clauses of the outer SELECT; `null` when the text is no single one. */
function parts(text: string): Part[] | null {
  const found: Part[] = []
  let depth = 0
  for (const token of tokens(text)) {
    if (token.text === ';') return null
    const word = token.kind === 'word' && depth === 0 ? token.text.toLowerCase() : ''
    if (CLAUSES.includes(word)) found.push({ clause: word, head: token.from, tokens: [token] })
    else if (found.length === 0) return null
    else found.at(-1)?.tokens.push(token)
    if (token.text === '(') depth++
    if (token.text === ')') depth--
  }
  return found[0]?.clause === 'select' && depth === 0 ? found : null
}

const partOf = (list: Part[] | null, clause: Clause) => list?.find((part) => part.clause === clause)

const UNIT_MS: Record<string, number> = { ns: 1e-6, u: 1e-3, µ: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

export function durationMs(text: string): number {
  return [...text.matchAll(/(\d+)(ns|ms|u|µ|s|m|h|d|w)/g)].reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0), 0)
}

/** Whole seconds where that is exact. */
export const durationText = (ms: number) => (ms % 1000 === 0 ? `${ms / 1000}s` : `${Math.max(1, Math.round(ms))}ms`)

interface Condition { from: number; to: number; operator: string; value: Token[] }

/** `time > ..` and its like, as far as they stand side by side under AND. */
function timeConditions(where: Part | undefined): Condition[] | null {
  if (!where) return []
  const list = where.tokens.slice(1)
  const found: Condition[] = []
  let depth = 0
  for (const [index, token] of list.entries()) {
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    if (!isWord(token, 'time')) continue
    if (depth > 0) return null
    const operator = list[index + 1]
    const end = list.findIndex((other, at) => at > index && (isWord(other, 'and') || isWord(other, 'or')))
    const value = list.slice(index + 2, end < 0 ? undefined : end)
    const last = value.at(-1)
    if (!operator || !last || !/^[<>]=?$/.test(operator.text)) return null
    found.push({ from: token.from, to: last.to, operator: operator.text, value })
  }
  return list.some((token) => isWord(token, 'or')) && found.length > 0 ? null : found
}

/** The range that a query asks for; `null` when it says none, or says it in a way of its own. */
export function rangeOf(text: string): Range | null {
  const conditions = timeConditions(partOf(parts(text), 'where'))
  if (!conditions || conditions.length === 0) return null
  const [first, second] = conditions
  const words = first?.value.map((token) => token.text.toLowerCase()).join('') ?? ''
  if (conditions.length === 1 && first?.operator.startsWith('>')) {
    const past = /^now\(\)-((?:\d+[a-zµ]+)+)$/.exec(words)
    return past ? { kind: 'last', ms: durationMs(past[1] ?? '') } : null
  }
  const text1 = first?.value.length === 1 && first.value[0]?.kind === 'text' ? unquoted(first.value[0]) : null
  const text2 = second?.value.length === 1 && second.value[0]?.kind === 'text' ? unquoted(second.value[0]) : null
  const isBetween = conditions.length === 2 && first?.operator.startsWith('>') && second?.operator.startsWith('<')
  return isBetween && text1 && text2 ? { kind: 'between', from: text1, to: text2 } : null
}

const unquoted = (token: Token) => token.text.slice(1, -1)

export function rangeText(range: Range): string {
  return range.kind === 'last' ? `time > now() - ${durationText(range.ms)}` : `time >= '${range.from}' AND time <= '${range.to}'`
}

/** The same query over another time; `null` when it says its time in a way that cannot be changed from outside. */
export const withRange = (text: string, range: Range): string | null => withTime(text, rangeText(range))

/** The same with any condition on the time, such as Grafana's `$timeFilter`. */
export function withTime(text: string, wanted: string): string | null {
  const list = parts(text)
  if (!list) return null
  const where = partOf(list, 'where')
  const conditions = timeConditions(where)
  if (!conditions) return null
  const [first] = conditions
  const last = conditions.at(-1)
  if (!where) {
    const from = partOf(list, 'from')?.tokens.at(-1)
    return from ? `${text.slice(0, from.to)} WHERE ${wanted}${text.slice(from.to)}` : null
  }
  if (!first || !last) {
    const condition = where.tokens[1]
    return condition ? `${text.slice(0, condition.from)}${wanted} AND ${text.slice(condition.from)}` : null
  }
  // Between the two bounds of one range may stand nothing but AND.
  const between = conditions.length === 2 ? text.slice(first.to, last.from).trim().toLowerCase() : 'and'
  if (conditions.length > 2 || between !== 'and') return null
  return text.slice(0, first.from) + wanted + text.slice(last.to)
}

interface Dimension { from: number; to: number; tokens: Token[] }

/** What GROUP BY lists, each from its first to its last token. */
function dimensions(group: Part | undefined): Dimension[] {
  if (!group) return []
  const found: Dimension[] = []
  let depth = 0
  let current: Token[] = []
  const end = () => {
    const [first, last] = [current[0], current.at(-1)]
    if (first && last) found.push({ from: first.from, to: last.to, tokens: current })
    current = []
  }
  for (const token of group.tokens.slice(isWord(group.tokens[1], 'by') ? 2 : 1)) {
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    if (token.text === ',' && depth === 0) end()
    else current.push(token)
  }
  end()
  return found
}

const tagOf = (dimension: Dimension) => (dimension.tokens.length === 1 ? nameOf(dimension.tokens[0]) : null)

/** The tags by which a query groups. */
export function groupsOf(text: string): string[] {
  return dimensions(partOf(parts(text), 'group')).map(tagOf).filter((tag) => tag !== null)
}

/** The step of `time(..)` in milliseconds; `null` without one. */
export function stepOf(text: string): number | null {
  const time = dimensions(partOf(parts(text), 'group')).find((dimension) => isWord(dimension.tokens[0], 'time') && dimension.tokens[1]?.text === '(')
  const step = time?.tokens[2]
  return step?.kind === 'duration' ? durationMs(step.text) : null
}

/** The same query with another step in `time(..)`. */
export function withStep(text: string, step: string): string {
  const time = dimensions(partOf(parts(text), 'group')).find((dimension) => isWord(dimension.tokens[0], 'time') && dimension.tokens[1]?.text === '(')
  const token = time?.tokens[2]
  return token?.kind === 'duration' ? text.slice(0, token.from) + step + text.slice(token.to) : text
}

/** Adds a tag to GROUP BY, or takes it out; `null` when the text is no single SELECT. */
export function toggleGroup(text: string, tag: string): string | null {
  const list = parts(text)
  if (!list) return null
  const group = partOf(list, 'group')
  const all = dimensions(group)
  const at = all.findIndex((dimension) => tagOf(dimension) === tag)
  const found = all[at]
  if (group && found) {
    const [before, after] = [all[at - 1], all[at + 1]]
    if (before) return text.slice(0, before.to) + text.slice(found.to)
    if (after) return text.slice(0, found.from) + text.slice(after.from)
    return (text.slice(0, group.head).trimEnd() + text.slice(found.to)).trimEnd()
  }
  const last = all.at(-1)
  if (last) return `${text.slice(0, last.to)}, ${quotedName(tag)}${text.slice(last.to)}`
  const before = (partOf(list, 'where') ?? partOf(list, 'from'))?.tokens.at(-1)
  return before ? `${text.slice(0, before.to)} GROUP BY ${quotedName(tag)}${text.slice(before.to)}` : null
}

/** How many columns besides the time a query asks for, as far as can be told without asking; 2 is several. */
export function columnsOf(text: string): 1 | 2 {
  const select = partOf(parts(text), 'select')
  let depth = 0
  for (const token of select?.tokens ?? []) {
    if (token.text === '*' || token.kind === 'regex' || (token.text === ',' && depth === 0)) return 2
    if (token.text === '(') depth++
    if (token.text === ')') depth--
  }
  return 1
}

/** In which clause a place of the text is, for completion. */
export function clauseAt(text: string, at: number): { clause: Clause | null; isCall: boolean } {
  let clause: Clause | null = null
  let before: Token | undefined
  const calls: boolean[] = []
  for (const token of tokens(text.slice(0, at))) {
    const word = token.kind === 'word' ? token.text.toLowerCase() : ''
    if (CLAUSES.includes(word)) clause = word
    if (token.text === '(') calls.push(before?.kind === 'word' && !CLAUSES.includes(before.text.toLowerCase()))
    if (token.text === ')') calls.pop()
    before = token
  }
  return { clause, isCall: calls.at(-1) ?? false }
}
