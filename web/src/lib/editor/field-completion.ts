// What can be written next in a condition in CEL, and between the braces of a template: fields, and what can be done with them.
import type { Completion, CompletionContext, CompletionResult, CompletionSource } from '@codemirror/autocomplete'
import type { Column } from '../api'
import { describe, unique, type Vocabulary } from './completion'

const columnsIn = (vocabulary: Vocabulary) => vocabulary.tables.flatMap((table) => table.columns)
const field = (column: Column): Completion => ({ label: column.name, type: 'property', detail: column.type, boost: 3, ...(column.comment ? { info: column.comment } : {}) })

function next(vocabulary: Vocabulary, context: CompletionContext, more: Completion[]): CompletionResult | null {
  const path = context.matchBefore(/[A-Za-z_]\w*(\.\w*)+/)
  if (path) {
    const parts = path.text.split('.')
    const last = parts.pop() ?? ''
    let columns = columnsIn(vocabulary)
    for (const part of parts) columns = columns.find((column) => column.name === part)?.children ?? []
    const methods = more.filter((entry) => entry.detail === 'method')
    const options = unique([...columns.map(field), ...methods])
    return options.length > 0 ? { from: context.pos - last.length, options, validFor: /^\w*$/ } : null
  }
  const word = context.matchBefore(/[A-Za-z_]\w*/)
  if (!word && !context.explicit) return null
  return { from: word?.from ?? context.pos, options: unique([...columnsIn(vocabulary).map(field), ...more.filter((entry) => entry.detail !== 'method')]), validFor: /^\w*$/ }
}

/** Inside a text nothing is offered. */
function isInText(context: CompletionContext): boolean {
  let open = ''
  const before = context.state.sliceDoc(0, context.pos)
  for (let at = 0; at < before.length; at++) {
    const letter = before[at] ?? ''
    if (letter === '\\') at++
    else if (open) open = letter === open ? '' : open
    else if (letter === '"' || letter === "'") open = letter
  }
  return open !== ''
}

export function celCompletions(vocabulary: Vocabulary): CompletionSource {
  const functions = vocabulary.functions.map(describe)
  const words = ['true', 'false', 'null', 'in'].map((word): Completion => ({ label: word, type: 'keyword', boost: -2 }))
  return (context) => (isInText(context) ? null : next(vocabulary, context, [...functions, ...words]))
}

export function templateCompletions(vocabulary: Vocabulary): CompletionSource {
  const filters = vocabulary.functions.map((entry): Completion => ({ ...describe(entry), apply: entry.name }))
  return (context) => {
    const before = context.state.sliceDoc(Math.max(0, context.pos - 2000), context.pos)
    const open = before.lastIndexOf('{{')
    if (open < 0 || before.indexOf('}}', open) >= 0) return null
    const isFilter = /\|\s*\w*$/.test(before)
    if (isFilter) {
      const word = context.matchBefore(/\w*/)
      return { from: word?.from ?? context.pos, options: filters, validFor: /^\w*$/ }
    }
    const found = next(vocabulary, context, [])
    if (found) return found
    // Right after the braces all fields are offered, without a letter typed.
    return /\{\{\s*$/.test(before) ? { from: context.pos, options: columnsIn(vocabulary).map(field), validFor: /^[\w.]*$/ } : null
  }
}
