// What the form of a Kafka cluster holds, and how it becomes the document that the server takes.
import type { KafkaCluster } from '$lib/api'

export const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const
export type Protocol = (typeof PROTOCOLS)[number]
export const MECHANISMS = ['SCRAM-SHA-512', 'SCRAM-SHA-256', 'PLAIN', 'OAUTHBEARER'] as const

/** What must not stand in the document: it goes into a secret, and the document names that. */
export interface Hidden {
  value: string
  /** The secret that holds it; empty while there is none. */
  secret: string
  /** The value that was written into the secret from this form. */
  sealed: string
}

/** Text that may stand in the document, or be in a secret already. */
export interface Pem {
  text: string
  secret: string
}

export const HIDDEN = ['password', 'clientSecret', 'key', 'keyPassword'] as const
export type HiddenName = (typeof HIDDEN)[number]

export interface ClusterDraft extends Record<HiddenName, Hidden> {
  name: string
  group: string
  addresses: string
  protocol: Protocol
  mechanism: string
  username: string
  tokenUrl: string
  clientId: string
  scope: string
  ca: Pem
  certificate: Pem
  /** One a line, `name=value`. */
  properties: string
  prefix: string
}

const hidden = (secret = ''): Hidden => ({ value: '', secret, sealed: '' })
const isSecret = (held: unknown): held is { secret: string } => typeof held === 'object' && held !== null && 'secret' in held
const pem = (held: unknown): Pem => (isSecret(held) ? { text: '', secret: held.secret } : { text: typeof held === 'string' ? held : '', secret: '' })

export function draftOf(cluster: KafkaCluster | null): ClusterDraft {
  const { bootstrap, security, properties, prefix } = cluster?.spec ?? { type: 'kafka' }
  return {
    name: cluster?.metadata.name ?? '', group: cluster?.metadata.group ?? '', addresses: bootstrap?.join(', ') ?? '',
    protocol: PROTOCOLS.find((protocol) => protocol === security?.protocol) ?? (cluster ? 'PLAINTEXT' : 'SASL_SSL'),
    mechanism: security?.mechanism ?? MECHANISMS[0], username: security?.username ?? '',
    password: hidden(security?.password?.secret), clientSecret: hidden(security?.oauth?.clientSecret.secret), key: hidden(security?.key?.secret), keyPassword: hidden(security?.keyPassword?.secret),
    tokenUrl: security?.oauth?.tokenUrl ?? '', clientId: security?.oauth?.clientId ?? '', scope: security?.oauth?.scope ?? '',
    ca: pem(security?.ca), certificate: pem(security?.certificate),
    properties: Object.entries(properties ?? {}).map(([name, value]) => `${name}=${value}`).join('\n'), prefix: prefix ?? '',
  }
}

export const hasTls = (protocol: Protocol) => protocol.endsWith('SSL')
export const hasLogin = (protocol: Protocol) => protocol.startsWith('SASL')
export const hasTokens = (draft: ClusterDraft) => hasLogin(draft.protocol) && draft.mechanism === 'OAUTHBEARER'

export const addressesOf = (text: string) => text.split(/[\s,]+/).filter(Boolean)

/** What is hidden in this draft and counts with its protocol. */
export const hiddenIn = (draft: ClusterDraft): HiddenName[] =>
  [...(hasTokens(draft) ? (['clientSecret'] as const) : hasLogin(draft.protocol) ? (['password'] as const) : []), ...(hasTls(draft.protocol) ? (['key', 'keyPassword'] as const) : [])]

export const isFilled = (held: Hidden) => held.value !== '' || held.secret !== ''

/** Whether enough is written to ask the server. */
export function isWhole(draft: ClusterDraft): boolean {
  const login = hasTokens(draft) ? !!draft.tokenUrl && !!draft.clientId && isFilled(draft.clientSecret) : !hasLogin(draft.protocol) || (!!draft.username && isFilled(draft.password))
  return login && addressesOf(draft.addresses).length > 0
}

const filled = (fields: Record<string, unknown>) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '' && value !== undefined))
const named = ({ secret }: Hidden) => (secret ? { secret } : undefined)
const written = ({ text, secret }: Pem) => (text.trim() ? text : secret ? { secret } : undefined)

function propertiesOf(text: string): Record<string, string> {
  const pairs = text.split('\n').map((line) => line.trim()).filter(Boolean)
  return Object.fromEntries(pairs.map((line) => [line.split('=')[0]?.trim() ?? '', line.includes('=') ? line.slice(line.indexOf('=') + 1).trim() : '']))
}

/** What the protocol has no use for is left out; it stays in the form. */
export function toDocument(draft: ClusterDraft): object {
  const { protocol, mechanism } = draft
  const login = hasTokens(draft)
    ? { mechanism, oauth: filled({ tokenUrl: draft.tokenUrl, clientId: draft.clientId, clientSecret: named(draft.clientSecret), scope: draft.scope }) }
    : hasLogin(protocol) ? filled({ mechanism, username: draft.username, password: named(draft.password) }) : {}
  const tls = hasTls(protocol) ? filled({ ca: written(draft.ca), certificate: written(draft.certificate), key: named(draft.key), keyPassword: named(draft.keyPassword) }) : {}
  const properties = propertiesOf(draft.properties)
  return {
    apiVersion: 'millrace/v1', kind: 'KafkaCluster', metadata: filled({ name: draft.name, group: draft.group }),
    spec: { type: 'kafka', bootstrap: addressesOf(draft.addresses), security: { protocol, ...login, ...tls }, ...(Object.keys(properties).length > 0 ? { properties } : {}), ...(draft.prefix.trim() ? { prefix: draft.prefix.trim() } : {}) },
  }
}

const FIELDS = ['addresses', 'protocol', 'mechanism', 'username', 'tokenUrl', 'clientId', 'scope', 'ca', 'certificate', 'properties', 'prefix', ...HIDDEN] as const
export type Field = (typeof FIELDS)[number] | 'name'

/** The field that a message of the server is about: it names the place in the document. */
export function fieldOf(detail: string): Field | null {
  const path = /`(?:spec|metadata)\.([\w.]+)/.exec(detail)?.[1]?.split('.') ?? /`security\.([\w.]+)/.exec(detail)?.[1]?.split('.')
  if (!path) return null
  if (path.includes('bootstrap')) return 'addresses'
  if (path[0] === 'properties') return 'properties'
  const last = path.at(-1)
  return last === 'name' ? 'name' : FIELDS.find((field) => field === last) ?? null
}
