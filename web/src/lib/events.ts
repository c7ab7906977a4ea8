// What the server says by itself. A page that shows it asks anew at once instead of at its next turn.

export interface ServerEvent {
  /** `change`: a resource was written or deleted. `state`: a dagger is in another state. `missed`: some were not heard. */
  event: 'change' | 'state' | 'missed'
  kind?: string
  name?: string
}

const heard = new EventTarget()

/** Called for every change; call the result to stop listening. */
export function onServerEvent(listen: (event: ServerEvent) => void): () => void {
  const relay = (event: Event) => listen((event as CustomEvent<ServerEvent>).detail)
  heard.addEventListener('change', relay)
  return () => heard.removeEventListener('change', relay)
}

/** Changes that come together are told together. */
const TOGETHER_MS = 200
/** A stream that the server has closed for good is asked for again. */
const AGAIN_MS = 15_000
const HIDDEN_MS = 10_000

/** Polling goes on either way; call the result to stop. */
export function listenToServer(): () => void {
  let source: EventSource | null = null
  let again: ReturnType<typeof setTimeout> | undefined
  const told = new Map<string, ReturnType<typeof setTimeout>>()

  function tell(event: MessageEvent<string>): void {
    let what: ServerEvent
    try {
      what = JSON.parse(event.data) as ServerEvent
    } catch {
      // A line that is not JSON is nothing that a page waits for.
      return
    }
    const key = `${what.event} ${what.kind} ${what.name}`
    if (told.has(key)) return
    told.set(key, setTimeout(() => {
      told.delete(key)
      heard.dispatchEvent(new CustomEvent('change', { detail: what }))
    }, TOGETHER_MS))
  }

  function open(): void {
    clearTimeout(again)
    source?.close()
    source = new EventSource('/api/v1/events')
    for (const name of ['row', 'change', 'state']) source.addEventListener(name, tell)
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS)
    }
  }

  // A browser has few connections to one server: a window that nobody sees gives its one back.
  function look(): void {
    clearTimeout(again)
    if (!document.hidden) return source?.readyState === EventSource.OPEN ? undefined : open()
    again = setTimeout(() => source?.close(), HIDDEN_MS)
  }

  open()
  document.addEventListener('visibilitychange', look)
  return () => {
    document.removeEventListener('visibilitychange', look)
    source?.close()
    clearTimeout(again)
    for (const timer of told.values()) clearTimeout(timer)
  }
}
