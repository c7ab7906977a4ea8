// What can be written of a record besides its fields: functions of CEL, filters of templates, and what is known of every record.
import type { Column, SqlFunction } from './api'

const one = (name: string, kind: string, signature: string, description: string, example = '') => ({ name, kind, signature, description, ...(example ? { example } : {}) }) as unknown as SqlFunction

export const CEL_FUNCTIONS: SqlFunction[] = [
  one('has', 'function', 'has(message.field)', 'Whether the field is there', 'has(payment.voucher)'),
  one('size', 'function', 'size(value)', 'Length of a text, a list or a map', 'size(items) > 0'),
  one('int', 'function', 'int(value)', 'As a whole number'), one('double', 'function', 'double(value)', 'As a number'), one('string', 'function', 'string(value)', 'As a text'),
  one('timestamp', 'function', 'timestamp(text)', 'A moment, as RFC 3339', 'event_timestamp > timestamp("2026-01-01T00:00:00Z")'), one('duration', 'function', 'duration(text)', 'A length of time', 'duration("90s")'),
  one('getHours', 'method', 'time.getHours()', 'The hour of the day, of a zone if one is given', 'event_timestamp.getHours("Asia/Jakarta") < 6'), one('getDayOfWeek', 'method', 'time.getDayOfWeek()', 'Sunday is 0'), one('getFullYear', 'method', 'time.getFullYear()', 'The year'),
  one('startsWith', 'method', 'text.startsWith(text)', 'Whether it begins with that', 'order_number.startsWith("F-")'), one('endsWith', 'method', 'text.endsWith(text)', 'Whether it ends with that'), one('contains', 'method', 'text.contains(text)', 'Whether that is in it'), one('matches', 'method', 'text.matches(pattern)', 'Whether a regular expression matches', 'driver_id.matches("^D-[0-9]+$")'),
  one('exists', 'method', 'list.exists(item, condition)', 'Whether it holds for one of them', 'items.exists(i, i.price > 10)'), one('all', 'method', 'list.all(item, condition)', 'Whether it holds for each'), one('filter', 'method', 'list.filter(item, condition)', 'Those for which it holds'), one('map', 'method', 'list.map(item, value)', 'What is made of each'),
]

export const TEMPLATE_FILTERS: SqlFunction[] = [
  one('json', 'filter', '{{ field | json }}', 'As JSON, a text with its quotation marks'), one('urlencode', 'filter', '{{ field | urlencode }}', 'Safe as one part of an address'), one('default', 'filter', "{{ field | default('none') }}", 'Instead of nothing'),
  one('date', 'filter', '{{ field | date("%Y-%m-%d", "Asia/Jakarta") }}', 'A moment, in UTC without a zone'), one('epoch_millis', 'filter', '{{ field | epoch_millis }}', 'A moment, in milliseconds since 1970'), one('epoch_seconds', 'filter', '{{ field | epoch_seconds }}', 'A moment, in seconds since 1970'),
  one('sha256', 'filter', '{{ field | sha256 }}', 'Its hash'), one('base64', 'filter', '{{ field | base64 }}', 'Its bytes as text'),
  one('lower', 'filter', '{{ field | lower }}', 'In small letters'), one('upper', 'filter', '{{ field | upper }}', 'In capital letters'), one('trim', 'filter', '{{ field | trim }}', 'Without spaces around it'), one('replace', 'filter', "{{ field | replace('a', 'b') }}", 'With something else in its place'), one('round', 'filter', '{{ field | round(2) }}', 'With so many digits'),
]

/** Known of every record, whatever its schema. */
export const RECORD_COLUMNS: Column[] = [['_topic', 'STRING'], ['_partition', 'INT'], ['_offset', 'BIGINT'], ['_timestamp', 'TIMESTAMP(6)'], ['_key', 'BYTES'], ['_headers', 'MAP']].map(([name = '', type = '']) => ({ name, type }))

/** Columns with their paths: `customer`, `customer.id`. */
export const pathsOf = (columns: Column[], before = ''): string[] => columns.flatMap((column) => [before + column.name, ...pathsOf(column.children ?? [], `${before}${column.name}.`)])
