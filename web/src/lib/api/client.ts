// One way to the server: JSON in and out, problem+json errors as `Problem`.
import { t } from '../i18n'

export interface ProblemDocument {
  code: string
  title?: string
  status: number
  detail: string
  hint?: string
  line?: number
  column?: number
}

/** What the server said is wrong, or that it said nothing (`status` 0). */
export class Problem extends Error {
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly hint: string | undefined
  readonly line: number | undefined
  readonly column: number | undefined

  constructor(document: ProblemDocument) {
    super(document.detail)
    this.code = document.code
    this.status = document.status
    this.detail = document.detail
    this.hint = document.hint
    this.line = document.line
    this.column = document.column
  }

  get isOffline(): boolean {
    return this.status === 0 || this.status === 502
  }
}

export const isAbort = (error: unknown) => error instanceof DOMException && error.name === 'AbortError'

export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  return new Problem({ code: 'portal_failed', status: -1, detail: error instanceof Error ? error.message : String(error) })
}

export interface Request {
  method?: 'GET' | 'POST' | 'DELETE'
  /** An object goes out as JSON, a text as it is. */
  body?: unknown
  type?: string
  accept?: string
  signal?: AbortSignal | undefined
  /** A status that is an error but brings an answer of its own, not a problem document. */
  answersWith?: number
}

const BASE = '/api/v1'

async function send(path: string, request: Request): Promise<Response> {
  const headers = new Headers({ accept: request.accept ?? 'application/json' })
  const init: RequestInit = { method: request.method ?? 'GET', headers }
  if (request.signal) init.signal = request.signal
  if (request.body !== undefined) {
    const isText = typeof request.body === 'string'
    headers.set('content-type', request.type ?? (isText ? 'text/plain' : 'application/json'))
    init.body = isText ? (request.body as string) : JSON.stringify(request.body)
  }
  let response: Response
  try {
    response = await fetch(BASE + path, init)
  } catch (error) {
    if (isAbort(error)) throw error
    throw new Problem({ code: 'no_answer', status: 0, detail: t.errors.noAnswer, hint: t.errors.noAnswerHint })
  }
  if (response.ok) return response
  const isAnswer = response.status === request.answersWith && response.headers.get('content-type')?.startsWith('application/json')
  if (isAnswer) return response
  if (response.status === 401) dispatchEvent(new CustomEvent('session-ended'))
  throw await problemOf(response)
}

async function problemOf(response: Response): Promise<Problem> {
  const type = response.headers.get('content-type') ?? ''
  if (type.includes('json')) {
    const document = (await response.json()) as Partial<ProblemDocument>
    if (typeof document.detail === 'string') {
      return new Problem({ code: 'error', ...document, status: response.status, detail: document.detail })
    }
  }
  // The development proxy answers 500 with nothing when the server behind it is gone.
  const isGone = response.status === 502 || response.status === 504 || (response.status === 500 && !type.includes('json'))
  if (isGone) return new Problem({ code: 'no_answer', status: 0, detail: t.errors.noAnswer, hint: t.errors.noAnswerHint })
  return new Problem({ code: 'unexpected', status: response.status, detail: t.errors.unexpected(response.status) })
}

export async function call<T>(path: string, request: Request = {}): Promise<T> {
  const response = await send(path, request)
  const text = await response.text()
  return (text ? parseJson(text) : undefined) as T
}

/** Whether a question found that the server does not have this part yet. */
export const isMissing = (error: unknown) =>
  error instanceof Problem && (error.code === 'route_not_found' || error.status === 405 || error.status === 501)

/** The answer, or `null` from a server that does not know the question. */
export async function callIfThere<T>(path: string, request: Request = {}): Promise<T | null> {
  try {
    return await call<T>(path, request)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

const LONG_INTEGER = /[[:,]\s*-?\d{16,}\s*[,\]}]/

/** Integers beyond 2^53 (ids, fixed64) stay exact: they become texts. */
export function parseJson(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text)
  const reviver = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source && /^-?\d{16,}$/.test(context.source) && !Number.isSafeInteger(value)
      ? context.source
      : value
  return JSON.parse(text, reviver as (this: unknown, key: string, value: unknown) => unknown)
}

/** Lines of JSON as they come. Ends when the server ends it or the signal is raised. */
export async function* lines<T>(path: string, signal: AbortSignal): AsyncGenerator<T[]> {
  const response = await send(path, { signal, accept: 'application/x-ndjson' })
  if (!response.body) return
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  while (true) {
    const { done, value } = await reader.read()
    rest += value ?? ''
    const cut = done ? rest.length : rest.lastIndexOf('\n') + 1
    const whole = rest.slice(0, cut).split('\n').filter(Boolean).map((line) => parseJson(line) as T | { error: ProblemDocument })
    rest = rest.slice(cut)
    const broken = whole.find((line): line is { error: ProblemDocument } => isErrorLine(line))
    const good = whole.filter((line): line is T & object => !isErrorLine(line))
    if (good.length > 0) yield good
    if (broken) throw new Problem(broken.error)
    if (done) return
  }
}

/** A stream that breaks half-way ends with an object whose only key is `error`. */
function isErrorLine(line: unknown): boolean {
  if (typeof line !== 'object' || line === null || Object.keys(line).length !== 1) return false
  const error: unknown = (line as { error?: unknown }).error
  return typeof error === 'object' && error !== null && 'code' in error
}
