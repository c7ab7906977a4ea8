// The types are those of the server's document. After a change of it: `npm run types`.
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const document = new URL('../../../../docs/reference/openapi.json', import.meta.url)
const types = new URL('./openapi.d.ts', import.meta.url)

test('openapi.d.ts is what `npm run types` makes', async () => {
  expect(await readFile(types, 'utf8')).toBe(COMMENT_HEADER + astToString(await openapiTS(document)))
}, 60_000)
