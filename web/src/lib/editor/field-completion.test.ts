import { CompletionContext } from '@codemirror/autocomplete'
import { EditorState } from '@codemirror/state'
import { expect, test } from 'vitest'
import { CEL_FUNCTIONS, pathsOf, RECORD_COLUMNS, TEMPLATE_FILTERS } from '../record-language'
import { celCompletions, templateCompletions } from './field-completion'

const columns = [{ name: 'status', type: 'STRING' }, { name: 'customer', type: 'ROW', children: [{ name: 'id', type: 'STRING' }, { name: 'address', type: 'ROW', children: [{ name: 'city', type: 'STRING' }] }] }, ...RECORD_COLUMNS]
const tables = [{ name: '', columns }]

/** What is offered at the bar. */
async function offered(language: 'cel' | 'template', text: string): Promise<string[]> {
  const pos = text.indexOf('|>')
  const source = language === 'cel' ? celCompletions({ tables, functions: CEL_FUNCTIONS }) : templateCompletions({ tables, functions: TEMPLATE_FILTERS })
  const found = await source(new CompletionContext(EditorState.create({ doc: text.replace('|>', '') }), pos, false))
  return found?.options.map((option) => option.label) ?? []
}

test('a condition: fields, functions and words; nested fields after a dot; nothing within a text', async () => {
  expect(await offered('cel', 'st|>')).toEqual(expect.arrayContaining(['status', '_offset', 'has', 'true']))
  expect(await offered('cel', 'st|>')).not.toContain('startsWith')
  expect(await offered('cel', 'customer.|>')).toEqual(expect.arrayContaining(['id', 'address', 'startsWith']))
  expect(await offered('cel', 'customer.address.c|>')).toContain('city')
  expect(await offered('cel', 'status == "CAN|>"')).toEqual([])
  expect(await offered('cel', "status == 'it\\'s' && st|>")).toContain('status')
})

test('a template: fields between the braces only, filters after a bar', async () => {
  expect(await offered('template', '/orders/st|>')).toEqual([])
  expect(await offered('template', '/orders/{{|>')).toContain('status')
  expect(await offered('template', '/orders/{{ customer.|>')).toEqual(['id', 'address'])
  expect(await offered('template', '/orders/{{ status | up|>')).toEqual(expect.arrayContaining(['upper', 'urlencode']))
  expect(await offered('template', '{{ status }} st|>')).toEqual([])
})

test('paths of nested fields', () => {
  expect(pathsOf(columns).slice(0, 5)).toEqual(['status', 'customer', 'customer.id', 'customer.address', 'customer.address.city'])
})
