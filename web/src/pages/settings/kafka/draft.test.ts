import { expect, test } from 'vitest'
import type { KafkaCluster } from '$lib/api'
import { draftOf, fieldOf, hiddenIn, isWhole, toDocument, type ClusterDraft } from './draft'

const draft = (more: Partial<ClusterDraft>): ClusterDraft => ({ ...draftOf(null), name: 'main', addresses: 'a:9093,\n b:9093', ...more })
const secret = (name: string) => ({ value: '', secret: name, sealed: '' })
const spec = (of: ClusterDraft) => (toDocument(of) as { spec: Record<string, unknown> }).spec

test('a document has what its protocol has a use for, and no more', () => {
  const all = { username: 'alice', password: secret('p'), ca: { text: 'PEM', secret: '' }, key: secret('k'), tokenUrl: 'https://t', clientId: 'c', clientSecret: secret('s') }
  const security = (more: Partial<ClusterDraft>) => spec(draft({ ...all, ...more })).security
  expect(security({ protocol: 'PLAINTEXT' })).toEqual({ protocol: 'PLAINTEXT' })
  expect(security({ protocol: 'SSL' })).toEqual({ protocol: 'SSL', ca: 'PEM', key: { secret: 'k' } })
  expect(security({ protocol: 'SASL_PLAINTEXT', mechanism: 'PLAIN' })).toEqual({ protocol: 'SASL_PLAINTEXT', mechanism: 'PLAIN', username: 'alice', password: { secret: 'p' } })
  expect(security({ protocol: 'SASL_SSL', mechanism: 'OAUTHBEARER' })).toEqual({ protocol: 'SASL_SSL', mechanism: 'OAUTHBEARER', oauth: { tokenUrl: 'https://t', clientId: 'c', clientSecret: { secret: 's' } }, ca: 'PEM', key: { secret: 'k' } })
  expect(spec(draft({})).bootstrap).toEqual(['a:9093', 'b:9093'])
})

test('properties are lines, and a value may have an equals sign', () => {
  expect(spec(draft({ properties: 'fetch.max.bytes = 10\n\nx=a=b' })).properties).toEqual({ 'fetch.max.bytes': '10', x: 'a=b' })
})

test('a value that is hidden never stands in the document', () => {
  const typed = { value: 'very secret', secret: 'main-password', sealed: 'very secret' }
  expect(JSON.stringify(toDocument(draft({ password: typed, key: typed, clientSecret: typed, keyPassword: typed })))).not.toContain('very secret')
})

test('what was saved comes back unchanged', () => {
  const cluster = { apiVersion: 'millrace/v1', kind: 'KafkaCluster', metadata: { name: 'main', group: 'default' }, spec: { type: 'kafka', bootstrap: ['a:1'], security: { protocol: 'SASL_SSL', mechanism: 'PLAIN', username: 'u', password: { secret: 'p' }, ca: { secret: 'authority' } }, properties: { 'a.b': '1' }, prefix: 'x-' } }
  expect(toDocument(draftOf(cluster as unknown as KafkaCluster))).toEqual(cluster)
})

test('it is whole with addresses and whoever logs in', () => {
  expect(isWhole(draft({ protocol: 'PLAINTEXT' }))).toBe(true)
  expect(isWhole(draft({ protocol: 'PLAINTEXT', addresses: ' ' }))).toBe(false)
  expect(isWhole(draft({ protocol: 'SASL_SSL', username: 'u' }))).toBe(false)
  expect(isWhole(draft({ protocol: 'SASL_SSL', username: 'u', password: secret('p') }))).toBe(true)
  expect(hiddenIn(draft({ protocol: 'SASL_SSL', mechanism: 'OAUTHBEARER' }))).toEqual(['clientSecret', 'key', 'keyPassword'])
})

test('a message of the server belongs to the field that it names', () => {
  expect(fieldOf('`spec.security.mechanism` is `SCRAM-SHA`')).toBe('mechanism')
  expect(fieldOf('`spec.security.oauth.clientSecret` is missing')).toBe('clientSecret')
  expect(fieldOf('`spec.bootstrap[1]` is `x`: no port')).toBe('addresses')
  expect(fieldOf('`spec.properties.debug` is not allowed')).toBe('properties')
  expect(fieldOf('there is no secret `x`')).toBe(null)
})
