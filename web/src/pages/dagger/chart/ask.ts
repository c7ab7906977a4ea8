// The chart's question, in either language, and its answer in one form.
import { Problem, sql } from '$lib/api'
import { influx, INFLUX_ERROR } from '$lib/api/influx'
import type { QueryError } from '$lib/api'
import type { Language } from '$lib/chart-query'
import { readAnswer, type Answer } from '$lib/influx/answer'
import { explain } from '$lib/influx/errors'
import { columnsOf } from '$lib/influx/query'
import { linesOf } from '$lib/lines'

export interface Answered extends Answer {
  /** The query that was asked: the text in the editor may be another by now. */
  query: string
  language: Language
  tookMs: number
  /** Whether what is not shown may be added up. */
  isSum: boolean
}

export async function ask(language: Language, group: string, query: string, signal: AbortSignal): Promise<Answered> {
  const begun = performance.now()
  const answer = language === 'influxql' ? readAnswer(await influx.query(group, query, signal)) : await askSql(query, signal)
  const isSum = /^\s*select\b.*?\b(sum|count)\s*\(/is.test(query) && (language === 'sql' ? answer.columns.filter((column) => answer.rows.some((row) => typeof row[column.name] === 'number')).length === 1 : columnsOf(query) === 1)
  return { ...answer, query, language, tookMs: performance.now() - begun, isSum }
}

async function askSql(query: string, signal: AbortSignal): Promise<Answer> {
  const { columns, rows } = await sql.query(query, signal)
  return { columns, rows, ...linesOf(columns, rows), seriesLeft: 0, isPartial: false }
}

/** What is wrong with the query, where that is what is wrong. */
export function errorsOf(problem: Problem | null, language: Language, query: string): QueryError[] {
  if (!problem) return []
  if (problem.code === INFLUX_ERROR && language === 'influxql') return [explain(problem.detail, query)]
  const message = problem.detail.replace(/^line \d+, column \d+: /, '')
  if (problem.line) return [{ message, hint: problem.hint, line: problem.line, column: problem.column }]
  return problem.code === 'sql_invalid' ? [{ message, hint: problem.hint }] : []
}
