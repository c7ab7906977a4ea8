// Writes a resource as YAML the way a person would: block style, SQL as a literal block. Reading is the server's part.
import type { Cell } from './api'

/** Without the status and without what the server fills in by itself. */
export function resourceYaml(resource: { apiVersion: string; kind: string; metadata: { name: string; group?: string; labels?: object }; spec: object }): string {
  const { name, group, labels } = resource.metadata
  const metadata = { name, ...(group ? { group } : {}), ...(labels && Object.keys(labels).length > 0 ? { labels } : {}) }
  return toYaml({ apiVersion: resource.apiVersion, kind: resource.kind, metadata, spec: resource.spec } as unknown as Cell)
}

export function toYaml(value: Cell): string {
  return `${block(value, 0).replace(/^\n/, '')}\n`
}

const PLAIN = /^[A-Za-z_/][\w ./@+-]*$/
const RESERVED = /^(true|false|yes|no|on|off|null|~|y|n)$/i

function scalar(value: Cell): string {
  if (typeof value !== 'string') return String(value)
  return PLAIN.test(value) && !RESERVED.test(value) && !value.endsWith(' ') ? value : JSON.stringify(value)
}

function block(value: Cell, depth: number): string {
  const pad = '  '.repeat(depth)
  if (typeof value === 'string' && value.includes('\n') && !/[\t\r]|^ | \n/.test(value)) {
    const keep = value.endsWith('\n') ? '' : '-'
    return ` |${keep}\n${value.replace(/\n$/, '').split('\n').map((line) => (line ? pad + line : '')).join('\n')}`
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []'
    if (value.every((item) => typeof item !== 'object' || item === null)) return ` [${value.map(scalar).join(', ')}]`
    return value.map((item) => `\n${pad}- ${block(item, depth + 1).replace(/^\s+/, '')}`).join('')
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
    if (entries.length === 0) return ' {}'
    return entries.map(([key, inner]) => `\n${pad}${scalar(key)}:${block(inner, depth + 1)}`).join('')
  }
  return ` ${scalar(value)}`
}
