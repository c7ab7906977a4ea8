// What can be written next in InfluxQL: what the clause takes stands first. Names are quoted where they must be.
import type { Completion, CompletionSource } from '@codemirror/autocomplete'
import { clauseAt } from '../influx/query'
import { quotedName } from '../influx/tokens'
import { describe, inText, unique, type Vocabulary } from './completion'

export function influxCompletions(vocabulary: Vocabulary, keywords: string[]): CompletionSource {
  const columns = unique(vocabulary.tables.flatMap((table) => table.columns).map((column) => named(column.name, 'property', column.type)))
  const tags = columns.filter((column) => column.detail === 'tag')
  const fields = columns.filter((column) => column.detail !== 'tag')
  const measurements = vocabulary.tables.map((table) => named(table.name, 'class', 'measurement'))
  const functions = vocabulary.functions.map(describe)
  const time: Completion = { label: 'time', type: 'property', detail: 'the time of a point' }
  const words = keywords.map((word): Completion => ({ label: word.toUpperCase(), type: 'keyword' }))
  const only = (names: string[]) => functions.filter((entry) => names.includes(entry.label))
  const except = (names: string[]) => functions.filter((entry) => !names.includes(entry.label))
  return (context) => {
    const word = context.matchBefore(/"?[\p{L}_][\p{L}\p{N}_]*/u)
    if ((!word && !context.explicit) || inText(context)) return null
    const from = word?.from ?? context.pos
    const { clause, isCall } = clauseAt(context.state.doc.toString(), from)
    const first: Completion[] = {
      from: measurements,
      where: [time, ...tags, ...fields, ...only(['now'])],
      group: isCall ? [] : [...tags, ...only(['time'])],
      select: isCall ? fields : [...except(['time', 'now', 'fill']), ...fields, ...tags],
    }[clause ?? ''] ?? words
    const list = [...boosted(first, 5), ...boosted(words, 0), ...(clause === 'group' ? boosted(only(['fill']), 1) : [])]
    return { from, options: unique(list), validFor: /^"?[\p{L}\p{N}_]*$/u }
  }
}

/** It is found by its bare name, also after an opening quote. */
function named(name: string, type: string, detail: string): Completion {
  return {
    label: name, type, detail, apply: (view, _, from, to) => {
      const isOpen = view.state.sliceDoc(from, from + 1) === '"'
      const text = isOpen && !quotedName(name).startsWith('"') ? `"${name}"` : quotedName(name)
      // The editor closes a quote as soon as one is opened.
      const end = isOpen && view.state.sliceDoc(to, to + 1) === '"' ? to + 1 : to
      view.dispatch({ changes: { from, to: end, insert: text }, selection: { anchor: from + text.length } })
    },
  }
}

const boosted = (list: Completion[], boost: number): Completion[] => list.map((entry) => ({ ...entry, boost }))
