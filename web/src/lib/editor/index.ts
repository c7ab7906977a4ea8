// The SQL editor: CodeMirror with our completion and our marks. One lazily loaded piece.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { sql, SQLDialect } from '@codemirror/lang-sql'
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { forEachDiagnostic, lintGutter, setDiagnostics, type Diagnostic } from '@codemirror/lint'
import { Compartment, EditorState, Prec } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import type { QueryError } from '../api'
import { INFLUX_KEYWORDS } from '../influx/functions'
import { completions, type Vocabulary } from './completion'
import { celCompletions, templateCompletions } from './field-completion'
import { influxCompletions } from './influx-completion'

export type { Vocabulary } from './completion'

const KEYWORDS =
  'select from where group by as and or not on join left right full inner outer cross union all with case when then else end cast interval second minute hour day month year order limit having distinct over partition between is null in like desc asc lateral table unnest descriptor grouping sets rows range preceding following unbounded current row exists filter match_recognize emit values true false'

const dialect = SQLDialect.define({ keywords: KEYWORDS, types: 'int bigint double float boolean string bytes timestamp decimal varchar array map row', backslashEscapes: false, identifierQuotes: '`"' })

const influxDialect = SQLDialect.define({ keywords: INFLUX_KEYWORDS, types: 'time', builtin: 'now fill', backslashEscapes: true, identifierQuotes: '"', operatorChars: '*+-%<>!=&|~^' })

const celDialect = SQLDialect.define({ keywords: 'true false null in', builtin: 'has size int double string timestamp duration', doubleQuotedStrings: true, backslashEscapes: true, spaceAfterDashes: true, caseInsensitiveIdentifiers: false, operatorChars: '*+-%<>!=&|/?:' })

const look = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--accent-strong)', fontWeight: '500' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--info)' },
  { tag: tags.typeName, color: 'var(--s6)' },
  { tag: tags.comment, color: 'var(--text-3)', fontStyle: 'italic' },
])

const theme = EditorView.theme({
  '&': { fontSize: '13px', color: 'var(--text)', backgroundColor: 'transparent' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px' },
  '.cm-content': { padding: '10px 0', caretColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--text-3)', border: 'none' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in oklch, var(--hover), transparent 40%)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'light-dark(oklch(0.87 0.06 195), oklch(0.38 0.06 200)) !important' },
  '.cm-matchingBracket': { backgroundColor: 'var(--selected) !important', outline: '1px solid var(--line-strong)' },
  '.cm-tooltip': { border: 'none', borderRadius: '8px', backgroundColor: 'var(--raised)', color: 'var(--text)', boxShadow: 'var(--float)', overflow: 'hidden' },
  '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxHeight: '260px', padding: '4px' },
  '.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px !important', borderRadius: '4px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--selected) !important', color: 'var(--text) !important' },
  '.cm-completionDetail': { color: 'var(--text-2)', fontStyle: 'normal', marginLeft: '12px' },
  '.cm-completionInfo': { padding: '8px 12px !important', maxWidth: '320px', fontFamily: 'var(--font)', lineHeight: '18px' },
  '.cm-completionInfo code': { display: 'block', marginBottom: '4px', color: 'var(--text)', whiteSpace: 'pre-wrap' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad) 1px', textUnderlineOffset: '4px' },
  '.cm-diagnostic': { padding: '8px 12px', borderLeft: '3px solid var(--bad)', fontFamily: 'var(--font)', maxWidth: '420px' },
  '.cm-lint-marker-error': { content: 'none', width: '7px', height: '7px', margin: '6px 0 0 3px', borderRadius: '50%', backgroundColor: 'var(--bad)' },
  '.cm-gutter-lint': { width: '12px' },
})

const bare = EditorView.theme({ '.cm-line': { padding: '0 12px' } })

export type EditorLanguage = 'sql' | 'influxql' | 'cel' | 'template'

export interface EditorOptions {
  language: EditorLanguage
  isBare: boolean
  parent: HTMLElement
  text: string
  label: string
  minHeight: number
  hint: string
  changed: (text: string) => void
  run: () => void
  /** Elements with what is said of the text. */
  describedBy?: string
  /** Enter makes no new line. */
  isLine?: boolean
}

export interface Editor {
  view: EditorView
  setText: (text: string) => void
  setVocabulary: (vocabulary: Vocabulary) => void
  setErrors: (errors: QueryError[]) => void
  insert: (text: string) => void
  destroy: () => void
}

export function createEditor(options: EditorOptions): Editor {
  const words = new Compartment()
  const isQuery = options.language === 'sql' || options.language === 'influxql'
  const source = (vocabulary: Vocabulary) => {
    switch (options.language) {
      case 'influxql': return influxCompletions(vocabulary, INFLUX_KEYWORDS.split(' '))
      case 'cel': return celCompletions(vocabulary)
      case 'template': return templateCompletions(vocabulary)
      default: return completions(vocabulary, KEYWORDS.split(' '))
    }
  }
  const complete = (vocabulary: Vocabulary) => autocompletion({ override: [source(vocabulary)], icons: false, activateOnTyping: true, maxRenderedOptions: 60 })
  let isTold = false
  const view = new EditorView({
    parent: options.parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        Prec.highest(keymap.of([{ key: 'Mod-Enter', run: () => (options.run(), true) }])),
        options.isBare ? bare : [lineNumbers(), lintGutter(), highlightActiveLine()], history(), drawSelection(), bracketMatching(), closeBrackets(), EditorView.lineWrapping,
        ...(options.language === 'template' ? [] : [sql({ dialect: { sql: dialect, influxql: influxDialect, cel: celDialect }[options.language] })]), syntaxHighlighting(look), theme, words.of(complete({ tables: [], functions: [] })), placeholder(options.hint),
        // Escape, then Tab leaves the editor: CodeMirror's own way for the keyboard alone.
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap, ...(isQuery ? [indentWithTab] : [])]),
        EditorView.contentAttributes.of({ 'aria-label': options.label, spellcheck: 'false', tabindex: '0', ...(options.describedBy ? { 'aria-describedby': options.describedBy } : {}) }),
        ...(options.isLine ? [EditorState.transactionFilter.of((change) => (change.newDoc.lines > 1 ? [] : change))] : []),
        EditorView.theme({ '.cm-content, .cm-gutter': { minHeight: `${options.minHeight}px` } }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !isTold) options.changed(update.state.doc.toString())
        }),
      ],
    }),
  })
  return {
    view,
    setText(text) {
      if (text === view.state.doc.toString()) return
      isTold = true
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } })
      isTold = false
    },
    setVocabulary: (vocabulary) => view.dispatch({ effects: words.reconfigure(complete(vocabulary)) }),
    setErrors(errors) {
      const marks = errors.flatMap((error) => diagnostic(view.state, error))
      let before = 0
      forEachDiagnostic(view.state, () => before++)
      if (marks.length > 0 || before > 0) view.dispatch(setDiagnostics(view.state, marks))
    },
    insert(text) {
      view.dispatch(view.state.replaceSelection(text))
      view.focus()
    },
    destroy: () => view.destroy(),
  }
}

/** An error with a place is underlined to the end of the word that begins there. */
function diagnostic(state: EditorState, error: QueryError): Diagnostic[] {
  if (!error.line || error.line > state.doc.lines) return []
  const line = state.doc.line(error.line)
  const from = Math.min(line.from + Math.max(0, (error.column ?? 1) - 1), line.to)
  const word = /^[\w`."]+/.exec(state.doc.sliceString(from, line.to))?.[0].length ?? 1
  const to = Math.max(Math.min(from + word, state.doc.length), Math.min(from + 1, state.doc.length))
  return [{ from, to, severity: 'error', message: error.hint ? `${error.message}\n${error.hint}` : error.message }]
}
