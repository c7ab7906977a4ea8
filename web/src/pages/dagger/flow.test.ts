import { expect, test } from 'vitest'
import { busiest, layersOf, layout, RateMeter, type FlowNode, type Operator, type Placed } from './flow'

const operator = (id: string, inputs: string[], more: Partial<Operator> = {}): Operator => ({
  id, kind: 'branch', name: id, inputs, recordsIn: 0, rowsOut: 0, rowsPerSecond: 0, busyMs: 0, busyShare: 0, stateBytes: null, groups: null, describes: '', ...more,
})
const topic = (name: string): FlowNode => ({ kind: 'topic', id: name, name, inputs: [], lag: 0 })
const join: FlowNode[] = [
  ...['t1', 't2', 't3', 't4', 't5'].map(topic), operator('s1', ['t1', 't2', 't3', 't4']), operator('s2', ['t5']), operator('b1', ['s1']), operator('b2', ['s2']), operator('w1', ['b1']), operator('w2', ['b2']), operator('out', ['w1', 'w2']), operator('sink', ['out']),
]

test('a layer for each step, and the longest way counts', () => {
  expect(layersOf(join).map((layer) => layer.map((node) => node.id))).toEqual([['t1', 't2', 't3', 't4', 't5'], ['s1', 's2'], ['b1', 'b2'], ['w1', 'w2'], ['out'], ['sink']])
  const short = [operator('a', []), operator('b', ['a']), operator('c', ['a', 'b'])]
  expect(layersOf(short).map((layer) => layer.length)).toEqual([1, 1, 1])
  // What goes in a circle ends all the same.
  expect(layersOf([operator('a', ['b']), operator('b', ['a'])]).flat()).toHaveLength(2)
})

const overlaps = (a: Placed, b: Placed) => a !== b && a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

test.each([[1180, false], [1000, true], [358, true]])('%i pixels wide: nothing overlaps, every edge goes forward', (width, isDown) => {
  const drawn = layout(width < 500 ? join.filter((node) => node.kind !== 'topic') : join, width)
  expect(drawn.isDown).toBe(isDown)
  for (const one of drawn.nodes) {
    expect(drawn.nodes.filter((other) => overlaps(one, other))).toEqual([])
    expect(one.x).toBeGreaterThanOrEqual(0)
    expect(one.y).toBeGreaterThanOrEqual(0)
    expect(one.x + one.width).toBeLessThanOrEqual(width)
  }
  const at = new Map(drawn.nodes.map((one) => [one.node.id, one]))
  for (const { from, to } of drawn.edges) expect((isDown ? at.get(to)?.y : at.get(to)?.x) ?? 0).toBeGreaterThan((isDown ? at.get(from)?.y : at.get(from)?.x) ?? 0)
})

test('rates come from the counters, and begin anew after a restart', () => {
  const meter = new RateMeter()
  const at = (recordsIn: number, rowsOut: number, ms: number, kind: Operator['kind'] = 'branch') => {
    const one = operator('a', [], { recordsIn, rowsOut, kind })
    meter.note([one], ms)
    return meter.of(one)
  }
  expect(at(100, 10, 0)).toBeNull()
  expect(at(300, 20, 2000)).toEqual({ in: 100, out: 5 })
  expect(at(5, 0, 4000)).toBeNull()
  expect(at(105, 60, 6000)).toEqual({ in: 50, out: 30 })
  // A burst is forgotten by a filter after ten seconds, and by a window after a minute.
  expect(at(605, 60, 16_000)).toEqual({ in: 50, out: 0 })
  expect(at(605, 60, 16_000, 'window')).toEqual({ in: 50, out: 5 })
})

test('the busiest is the one that computes most', () => {
  expect(busiest([operator('a', []), operator('b', [], { busyShare: 0.2 }), operator('c', [], { busyShare: 0.1 })])?.id).toBe('b')
  expect(busiest([operator('a', [])])).toBeUndefined()
})
