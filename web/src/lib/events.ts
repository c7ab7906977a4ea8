// What the server says by itself. A page that shows it asks anew at once instead of at its next turn.

export interface ServerEvent {
  kind: string
  name?: string
}

const heard = new EventTarget()

/** Called for every change; call the result to stop listening. */
export function onServerEvent(listen: (event: ServerEvent) => void): () => void {
  const relay = (event: Event) => listen((event as CustomEvent<ServerEvent>).detail)
  heard.addEventListener('change', relay)
  return () => heard.removeEventListener('change', relay)
}

/** A server without events closes the stream for good; polling goes on either way. */
export function listenToServer(): void {
  const source = new EventSource('/api/v1/events')
  const tell = (event: MessageEvent<string>) => {
    try {
      heard.dispatchEvent(new CustomEvent('change', { detail: JSON.parse(event.data) as ServerEvent }))
    } catch {
      // A line that is not JSON is nothing that a page waits for.
    }
  }
  for (const name of ['message', 'row', 'change']) source.addEventListener(name, tell)
}
