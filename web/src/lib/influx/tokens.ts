// InfluxQL cut into tokens, with the place of each: enough to find and change parts of a query that somebody has written.

export interface Token {
  kind: 'word' | 'quoted' | 'text' | 'number' | 'duration' | 'regex' | 'mark'
  /** As it is written. */
  text: string
  from: number
  to: number
}

const REGEX_AFTER = /^(=~|!~|,|\(|from|by|with|in|select|=)$/i
const PATTERNS: [Token['kind'], RegExp][] = [
  ['quoted', /"(?:\\.|[^"\\])*"?/y],
  ['text', /'(?:\\.|[^'\\])*'?/y],
  ['duration', /\d+(?:ns|u|µ|ms|s|m|h|d|w)(?:\d+(?:ns|u|µ|ms|s|m|h|d|w))*\b/y],
  ['number', /\d+(?:\.\d+)?(?:e[+-]?\d+)?/iy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['mark', /=~|!~|<>|!=|<=|>=|::|[^\s]/uy],
]

/** Comments and spaces are left out; what is not InfluxQL comes as marks. */
export function tokens(text: string): Token[] {
  const found: Token[] = []
  let at = 0
  while (at < text.length) {
    const skipped = /^(?:\s+|--[^\n]*)/.exec(text.slice(at))
    if (skipped) {
      at += skipped[0].length
      continue
    }
    const before = found.at(-1)?.text ?? ''
    const regex = text[at] === '/' && REGEX_AFTER.test(before) ? /\/(?:\\.|[^/\\\n])*\//y : null
    const token = regex ? match('regex', regex, text, at) : null
    const next = token ?? PATTERNS.reduce<Token | null>((hit, [kind, pattern]) => hit ?? match(kind, pattern, text, at), null)
    if (!next) break
    found.push(next)
    at = next.to
  }
  return found
}

function match(kind: Token['kind'], pattern: RegExp, text: string, at: number): Token | null {
  pattern.lastIndex = at
  const hit = pattern.exec(text)
  return hit ? { kind, text: hit[0], from: at, to: at + hit[0].length } : null
}

export const isWord = (token: Token | undefined, word: string) => token?.kind === 'word' && token.text.toLowerCase() === word

/** What a name stands for, whether it is quoted or not; `null` is no name. */
export function nameOf(token: Token | undefined): string | null {
  if (token?.kind === 'word') return token.text
  if (token?.kind !== 'quoted') return null
  return token.text.slice(1, token.text.endsWith('"') && token.text.length > 1 ? -1 : undefined).replace(/\\(.)/g, '$1')
}

const RESERVED = new Set(
  'all alter analyze any as asc begin by cardinality continuous create database databases default delete desc destinations diagnostics distinct drop duration end every exact explain false field for from fill grant grants group groups in inf insert into key keys kill limit measurement measurements name not null offset on or order password policies policy privileges queries query read replication resample retention revoke select series server servers set shard shards show slimit soffset stats subscription subscriptions tag tags time true tz user users values where with write and'.split(' '),
)

/** A name as it has to be written. */
export function quotedName(name: string): string {
  const isPlain = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !RESERVED.has(name.toLowerCase())
  return isPlain ? name : `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
