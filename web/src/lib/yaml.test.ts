import { expect, test } from 'vitest'
import { toYaml } from './yaml'

test('a dagger as a person would write it', () => {
  const text = toYaml({ kind: 'Dagger', metadata: { name: 'a_b', labels: { on: 'yes', n: '1' } }, spec: { streams: [{ topics: ['a', 'b'], watermark: { delay: '5s' } }], sql: 'SELECT 1\n  FROM t\n', parallelism: 1, none: [] } })
  expect(text).toBe(`kind: Dagger
metadata:
  name: a_b
  labels:
    "on": "yes"
    "n": "1"
spec:
  streams:
    - topics: [a, b]
      watermark:
        delay: "5s"
  sql: |
    SELECT 1
      FROM t
  parallelism: 1
  none: []
`)
})
