// The filter of the message browser: `status = COMPLETED and price > 10000`, or any text.
import type { Cell, TopicRecord } from './api'

export type Test = (record: TopicRecord) => boolean
const CONDITION = /^([\w.]+)\s*(!=|>=|<=|=|>|<|~)\s*(.+)$/

/** A text, when it cannot be understood: the part that is wrong. */
export function parseFilter(text: string): Test | string {
  const parts = text.split(/\s+and\s+/i).map((part) => part.trim()).filter(Boolean)
  const tests: Test[] = []
  for (const part of parts) {
    const found = CONDITION.exec(part)
    if (!found) {
      if (/[=<>~]/.test(part)) return part
      const needle = part.toLowerCase()
      tests.push((record) => JSON.stringify([record.key, record.value, record.error]).toLowerCase().includes(needle))
      continue
    }
    const [, path = '', operator = '', raw = ''] = found
    const wanted = raw.trim().replace(/^(['"])(.*)\1$/, '$2')
    tests.push((record) => compare(lookUp(record, path), operator, wanted))
  }
  return (record) => tests.every((test) => test(record))
}

/** `key`, `partition`, `offset` and `timestamp` are the record's own; everything else is a path in the value. */
export function lookUp(record: TopicRecord, path: string): Cell | undefined {
  if (['key', 'partition', 'offset', 'timestamp'].includes(path)) return record[path as 'key']
  let value: Cell | undefined = record.value
  for (const part of path.replace(/^value\./, '').split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string, Cell>)[part]
  }
  return value
}

function compare(value: Cell | undefined, operator: string, wanted: string): boolean {
  if (value === undefined || value === null) return operator === '!='
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  const isNumeric = text.trim() !== '' && wanted.trim() !== '' && !Number.isNaN(Number(text)) && !Number.isNaN(Number(wanted))
  const order = isNumeric ? Number(text) - Number(wanted) : text.localeCompare(wanted)
  switch (operator) {
    case '=': return isNumeric ? order === 0 : text === wanted
    case '!=': return isNumeric ? order !== 0 : text !== wanted
    case '>': return order > 0
    case '<': return order < 0
    case '>=': return order >= 0
    case '<=': return order <= 0
    default: return text.toLowerCase().includes(wanted.toLowerCase())
  }
}
