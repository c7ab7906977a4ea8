// One way to the server: JSON in and out, problem+json errors as `Problem`.
import { t } from '../i18n'
import type { ProblemDocument } from './types'

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
    this.hint = document.hint ?? undefined
    this.line = document.line ?? undefined
    this.column = document.column ?? undefined
  }

  /** Detail and hint in one line, for a place that has only one. */
  get text(): string {
    return [this.detail, this.hint].filter(Boolean).join(' ')
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
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** An object goes out as JSON, a text as it is. */
  body?: unknown
  type?: string
  accept?: string
  signal?: AbortSignal | undefined
  /** A status that is an error but brings an answer of its own, not a problem document. */
  answersWith?: number
  /** A press of a button: done once, however often it must be sent. */
  isPress?: boolean
  /** Only when the resource is still of this generation. */
  ifMatch?: number | undefined
  /** Where the path begins, if not at the REST API. */
  base?: string
  /** The text of an error that is no problem document. */
  otherErrors?: (document: Record<string, unknown>) => string | null
  /** A question whose 401 is an answer (a wrong password), not the end of the session. */
  isLogin?: boolean
}

const BASE = '/api/v1'

/** A name as a part of a path. */
export const at = (name: string) => encodeURIComponent(name)

/** What is empty is left out. */
export function search(query: object): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== '' && value !== null) params.set(key, String(value))
  const text = params.toString()
  return text ? `?${text}` : ''
}

/** Somebody has to log in before a question can be answered; the answer waits for it. Set by the account. */
let logIn: ((signal?: AbortSignal) => Promise<void>) | null = null
export const askToLogIn = (ask: typeof logIn) => (logIn = ask)

async function send(path: string, request: Request): Promise<Response> {
  const headers = new Headers({ accept: request.accept ?? 'application/json' })
  if (request.ifMatch !== undefined) headers.set('if-match', `"${request.ifMatch}"`)
  const init: RequestInit = { method: request.method ?? 'GET', headers }
  if (request.signal) init.signal = request.signal
  if (request.body !== undefined) {
    const isText = typeof request.body === 'string'
    headers.set('content-type', request.type ?? (isText ? 'text/plain' : 'application/json'))
    init.body = isText ? (request.body as string) : JSON.stringify(request.body)
  }
  if (!request.isPress) return answerOf(path, init, request)
  const press = pressOf(path, init)
  headers.set('idempotency-key', press.key)
  try {
    const response = await pressed(path, init, request)
    press.done()
    return response
  } catch (error) {
    if (error instanceof Problem && !error.isOffline) press.done()
    throw error
  }
}

/** Pauses before a press that got no answer is sent again, with the same key. */
const RETRIES_MS = [400, 1000, 2000, 4000]

async function pressed(path: string, init: RequestInit, request: Request): Promise<Response> {
  for (const wait of RETRIES_MS) {
    try {
      return await answerOf(path, init, request)
    } catch (error) {
      if (!(error instanceof Problem) || !error.isOffline) throw error
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
  return answerOf(path, init, request)
}

async function answerOf(path: string, init: RequestInit, request: Request): Promise<Response> {
  while (true) {
    let response: Response
    try {
      response = await fetch((request.base ?? BASE) + path, init)
    } catch (error) {
      if (isAbort(error)) throw error
      throw new Problem({ code: 'no_answer', status: 0, detail: t.errors.noAnswer, hint: t.errors.noAnswerHint })
    }
    if (response.ok) return response
    const isAnswer = response.status === request.answersWith && response.headers.get('content-type')?.startsWith('application/json')
    if (isAnswer) return response
    const problem = await problemOf(response, request)
    // The session has ended: once somebody has logged in, the same question goes out again, and nothing is lost.
    if (response.status !== 401 || request.isLogin || !logIn) throw problem
    await logIn(request.signal)
  }
}

async function problemOf(response: Response, request: Request): Promise<Problem> {
  const type = response.headers.get('content-type') ?? ''
  if (type.includes('json')) {
    const document = (await response.json()) as Partial<ProblemDocument>
    const other = request.otherErrors?.(document as Record<string, unknown>)
    // Only of a bad request is the text about what was asked.
    if (other) return new Problem({ code: response.status === 400 ? 'influxql' : 'unexpected', status: response.status, detail: other })
    if (typeof document.detail === 'string') {
      return new Problem({ code: 'error', ...document, status: response.status, detail: document.detail })
    }
  }
  // The development proxy answers 500 with nothing when the server behind it is gone.
  const isGone = response.status === 502 || response.status === 504 || (response.status === 500 && !type.includes('json'))
  if (isGone) return new Problem({ code: 'no_answer', status: 0, detail: t.errors.noAnswer, hint: t.errors.noAnswerHint })
  return new Problem({ code: 'unexpected', status: response.status, detail: t.errors.unexpected(response.status) })
}

// A press that got no answer at all keeps its key: pressing again sends the same order, not a second one.
const unanswered = new Map<string, string>()

function pressOf(path: string, init: RequestInit): { key: string; done: () => void } {
  const order = `${init.method} ${path} ${typeof init.body === 'string' ? init.body : ''}`
  const key = unanswered.get(order) ?? newKey()
  unanswered.set(order, key)
  return { key, done: () => unanswered.delete(order) }
}

/** `crypto.randomUUID` needs a secure page; this does not. */
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')

export async function call<T>(path: string, request: Request = {}): Promise<T> {
  const response = await send(path, request)
  // Where there is no such route, the portal's own page answers.
  if (request.base !== undefined && response.headers.get('content-type')?.startsWith('text/html')) {
    throw new Problem({ code: 'route_not_found', status: 404, detail: t.errors.unexpected(404) })
  }
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
