// Rows as comma-separated values (RFC 4180).
import type { Column, Row } from './api'

export function csv(columns: Column[], rows: Row[]): string {
  const cell = (value: unknown) => {
    const plain = value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
  }
  return [columns.map((column) => cell(column.name)), ...rows.map((row) => columns.map((column) => cell(row[column.name])))].map((line) => line.join(',')).join('\n')
}
