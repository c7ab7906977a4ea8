// What can be written next: tables, their fields (nested ones after a dot), functions with their documentation.
import type { Completion, CompletionContext, CompletionResult, CompletionSource } from '@codemirror/autocomplete'
import type { Column, SqlFunction } from '../api'

export interface Vocabulary {
  tables: { name: string; columns: Column[] }[]
  functions: SqlFunction[]
}

export function completions(vocabulary: Vocabulary, keywords: string[]): CompletionSource {
  const fields = unique(vocabulary.tables.flatMap((table) => table.columns).map((column) => field(column, 3)))
  const tables = vocabulary.tables.map((table): Completion => ({ label: table.name, type: 'class', detail: 'table', boost: 2 }))
  const functions = vocabulary.functions.map(describe)
  const words = keywords.map((word): Completion => ({ label: word.toUpperCase(), type: 'keyword', boost: -2 }))
  const everything = [...fields, ...tables, ...functions, ...words]
  return (context) => {
    const path = context.matchBefore(/[A-Za-z_`][\w`]*(\.[\w`]*)+/)
    if (path) return nested(vocabulary, path)
    const word = context.matchBefore(/[A-Za-z_]\w*/)
    if ((!word && !context.explicit) || inText(context)) return null
    return { from: word?.from ?? context.pos, options: everything, validFor: /^\w*$/ }
  }
}

function field(column: Column, boost: number): Completion {
  const info = column.comment
  return { label: column.name, type: 'property', detail: column.type, boost, ...(info ? { info } : {}) }
}

function nested(vocabulary: Vocabulary, path: { from: number; text: string }): CompletionResult | null {
  const parts = path.text.replaceAll('`', '').split('.')
  const last = parts.pop() ?? ''
  const table = vocabulary.tables.find((candidate) => candidate.name.toLowerCase() === parts[0]?.toLowerCase())
  let columns = table ? table.columns : vocabulary.tables.flatMap((candidate) => candidate.columns)
  for (const part of table ? parts.slice(1) : parts) columns = columns.find((column) => column.name === part)?.children ?? []
  return columns.length > 0 ? { from: path.from + path.text.length - last.length, options: unique(columns.map((column) => field(column, 3))), validFor: /^\w*$/ } : null
}

export function describe(entry: SqlFunction): Completion {
  return {
    label: entry.name, type: 'function', detail: entry.kind, boost: 1, apply: (view, _, from, to) => {
      const opens = view.state.sliceDoc(to, to + 1) === '('
      view.dispatch({ changes: { from, to, insert: entry.name + (opens ? '' : '()') }, selection: { anchor: from + entry.name.length + 1 } })
    },
    info: () => {
      const box = document.createElement('div')
      const signature = document.createElement('code')
      signature.textContent = entry.signature
      const text = document.createElement('div')
      text.textContent = entry.description
      box.append(signature, text)
      if (entry.example) {
        const example = document.createElement('code')
        example.textContent = entry.example
        box.append(example)
      }
      return box
    },
  }
}

export function unique(list: Completion[]): Completion[] {
  return [...new Map(list.map((entry) => [entry.label, entry])).values()]
}

export const inText = (context: CompletionContext) => (context.state.doc.lineAt(context.pos).text.slice(0, context.pos - context.state.doc.lineAt(context.pos).from).split("'").length - 1) % 2 === 1
