// The graph of a dagger: what it is made of, how much goes where, and where each part stands on the page.
import type { Dagger } from '$lib/api'

/** A part of a running dagger, in the order of the flow. */
export interface Operator {
  id: string
  kind: 'source' | 'branch' | 'window' | 'output' | 'sink'
  name: string
  inputs: string[]
  recordsIn: number
  rowsOut: number
  rowsPerSecond: number
  busyMs: number
  /** Time computing over time passed, of the last seconds. */
  busyShare: number
  stateBytes: number | null
  groups: number | null
  describes: string
}

export type FlowNode = ({ kind: 'topic'; id: string; name: string; inputs: string[]; lag: number }) | Operator

/** Missing from a server that does not measure them, empty while nothing runs. */
export const operatorsOf = (dagger: Dagger): Operator[] => (dagger.status as { operators?: Operator[] }).operators ?? []

/** The operators, and before them the topics that their sources read. */
export function nodesOf(dagger: Dagger, withTopics: boolean): FlowNode[] {
  const operators = operatorsOf(dagger)
  if (!withTopics) return operators
  const topics = new Map<string, FlowNode>()
  const read = operators.map((operator) => {
    const stream = operator.kind === 'source' ? dagger.spec.streams.find((candidate) => candidate.table === operator.name) : undefined
    const inputs = (stream?.topics ?? []).map((topic) => {
      const lag = dagger.status.partitions.filter((partition) => partition.topic === topic && partition.table === operator.name).reduce((sum, partition) => sum + partition.lag, 0)
      topics.set(`topic:${topic}`, { kind: 'topic', id: `topic:${topic}`, name: topic, inputs: [], lag })
      return `topic:${topic}`
    })
    return { ...operator, inputs: [...inputs, ...operator.inputs] }
  })
  return [...topics.values(), ...read]
}

/** The one that computes most; none when nothing computes. */
export const busiest = (operators: Operator[]): Operator | undefined =>
  operators.filter((operator) => operator.busyShare > 0).sort((a, b) => b.busyShare - a.busyShare)[0]

interface Sample {
  at: number
  counts: Map<string, { in: number; out: number }>
}

export interface Rates {
  in: number
  out: number
}

const SAMPLES_MS = 60_000
const STEADY_MS = 10_000

/** What comes behind a window comes in bursts, so it is looked at for longer. */
const isSteady = (kind: FlowNode['kind']) => kind === 'source' || kind === 'branch'

/** Rows a second from the counters themselves: coming in over the last seconds, going out as long as it takes to see some. */
export class RateMeter {
  #samples: Sample[] = []

  note(operators: Operator[], at: number): void {
    const counts = new Map(operators.map((operator) => [operator.id, { in: operator.recordsIn, out: operator.rowsOut }]))
    const last = this.#samples.at(-1)
    // After a restart everything is counted from the beginning.
    if (last && operators.some((operator) => operator.recordsIn < (last.counts.get(operator.id)?.in ?? 0))) this.#samples = []
    this.#samples = [...this.#samples.filter((sample) => at - sample.at <= SAMPLES_MS), { at, counts }]
  }

  /** `null` until there is something to compare with. */
  of(operator: Operator): Rates | null {
    const incoming = this.#rate(operator.id, 'in', isSteady(operator.kind) || operator.kind === 'window' ? STEADY_MS : SAMPLES_MS)
    const outgoing = this.#rate(operator.id, 'out', isSteady(operator.kind) ? STEADY_MS : SAMPLES_MS)
    return incoming === null || outgoing === null ? null : { in: incoming, out: outgoing }
  }

  #rate(id: string, what: 'in' | 'out', overMs: number): number | null {
    const last = this.#samples.at(-1)
    const first = this.#samples.find((sample) => (last?.at ?? 0) - sample.at <= overMs)
    const [before, now] = [first?.counts.get(id), last?.counts.get(id)]
    if (!first || !last || !before || !now || last.at <= first.at) return null
    return ((now[what] - before[what]) * 1000) / (last.at - first.at)
  }
}

export interface Placed {
  node: FlowNode
  x: number
  y: number
  width: number
  height: number
}

export interface Edge {
  from: string
  to: string
  path: string
  /** Where its number stands. */
  x: number
  y: number
  isStraight: boolean
}

export interface Layout {
  nodes: Placed[]
  edges: Edge[]
  width: number
  height: number
  isDown: boolean
}

const SIZE = { height: 134, topicHeight: 54, widthMin: 146, widthMax: 240, topicWidth: 128, between: 16, step: 62, stepDown: 44 }

/** A layer for each step from the beginning; the longest way counts. */
export function layersOf(nodes: FlowNode[]): FlowNode[][] {
  const layer = new Map<string, number>()
  const known = new Map(nodes.map((node) => [node.id, node]))
  const depth = (node: FlowNode, seen: Set<string>): number => {
    const found = layer.get(node.id)
    if (found !== undefined) return found
    if (seen.has(node.id)) return 0
    const before = node.inputs.flatMap((id) => known.get(id) ?? [])
    const own = before.length === 0 ? 0 : 1 + Math.max(...before.map((input) => depth(input, new Set([...seen, node.id]))))
    layer.set(node.id, own)
    return own
  }
  const layers: FlowNode[][] = []
  for (const node of nodes) (layers[depth(node, new Set())] ??= []).push(node)
  return layers
}

/** Whether the graph fits from left to right; otherwise it goes from top to bottom. */
export const fitsAcross = (layers: FlowNode[][], width: number) =>
  layers.reduce((sum, layer) => sum + (isTopics(layer) ? SIZE.topicWidth : SIZE.widthMin), (layers.length - 1) * SIZE.step) <= width

const isTopics = (layer: FlowNode[]) => layer.every((node) => node.kind === 'topic')

export function layout(nodes: FlowNode[], width: number): Layout {
  const layers = layersOf(nodes)
  const isDown = !fitsAcross(layers, width)
  const most = Math.max(1, ...layers.map((layer) => layer.length))
  const wide = layers.filter((layer) => !isTopics(layer)).length
  const narrow = layers.length - wide
  const across = Math.min(SIZE.widthMax, (width - (layers.length - 1) * SIZE.step - narrow * SIZE.topicWidth) / Math.max(1, wide))
  const down = Math.max(SIZE.widthMin, Math.min(SIZE.widthMax + 40, (width - (most - 1) * SIZE.between) / most))
  const sizeOf = (node: FlowNode) => ({ width: isDown ? down : node.kind === 'topic' ? SIZE.topicWidth : across, height: node.kind === 'topic' ? SIZE.topicHeight : SIZE.height })

  const placed = new Map<string, Placed>()
  let along = 0
  for (const layer of layers) {
    const thickness = Math.max(...layer.map((node) => (isDown ? sizeOf(node).height : sizeOf(node).width)))
    const begin = spread(layer.map((node) => ({ length: isDown ? sizeOf(node).width : sizeOf(node).height, wish: middle(node, placed, isDown) })))
    layer.forEach((node, index) => {
      const size = sizeOf(node)
      const side = begin[index] ?? 0
      placed.set(node.id, { node, ...size, x: isDown ? side : along, y: isDown ? along : side })
    })
    along += thickness + (isDown ? SIZE.stepDown : SIZE.step)
  }
  const all = [...placed.values()]
  const [left, top] = [Math.min(...all.map((one) => one.x)), Math.min(...all.map((one) => one.y))]
  for (const one of all) {
    one.x -= left
    one.y -= top
  }
  const total = { width: Math.max(...all.map((one) => one.x + one.width)), height: Math.max(...all.map((one) => one.y + one.height)) }
  const rest = Math.max(0, width - total.width) / 2
  for (const one of all) if (isDown) one.x += rest
  const edges = all.flatMap((one) => one.node.inputs.flatMap((id) => {
    const from = placed.get(id)
    return from ? [edge(from, one, isDown)] : []
  }))
  return { nodes: all, edges, width: Math.max(total.width, isDown ? Math.min(width, total.width + 2 * rest) : 0), height: total.height, isDown }
}

/** Beside what comes into it. */
function middle(node: FlowNode, placed: Map<string, Placed>, isDown: boolean): number | null {
  const inputs = node.inputs.flatMap((id) => placed.get(id) ?? [])
  if (inputs.length === 0) return null
  return inputs.reduce((sum, one) => sum + (isDown ? one.x + one.width / 2 : one.y + one.height / 2), 0) / inputs.length
}

/** Where each of a row begins, so that it is near its wish and nothing overlaps; the row as a whole keeps its balance. */
function spread(row: { length: number; wish: number | null }[]): number[] {
  let end = -Infinity
  let next = 0
  const begin = row.map(({ length, wish }) => {
    const at = Math.max(wish === null ? next : wish - length / 2, end === -Infinity ? -Infinity : end + SIZE.between)
    end = at + length
    next = end + SIZE.between
    return at
  })
  const moved = row.map(({ length, wish }, index) => (wish === null ? 0 : (begin[index] ?? 0) + length / 2 - wish))
  const shift = moved.reduce((sum, one) => sum + one, 0) / row.length
  return begin.map((at) => at - shift)
}

function edge(from: Placed, to: Placed, isDown: boolean): Edge {
  const [x1, y1] = isDown ? [from.x + from.width / 2, from.y + from.height] : [from.x + from.width, from.y + from.height / 2]
  const [x2, y2] = isDown ? [to.x + to.width / 2, to.y] : [to.x, to.y + to.height / 2]
  const [mx, my] = [(x1 + x2) / 2, (y1 + y2) / 2]
  const path = isDown ? `M${x1} ${y1}C${x1} ${my} ${x2} ${my} ${x2} ${y2}` : `M${x1} ${y1}C${mx} ${y1} ${mx} ${y2} ${x2} ${y2}`
  return { from: from.node.id, to: to.node.id, path, x: mx, y: my, isStraight: Math.abs(isDown ? x1 - x2 : y1 - y2) < 1 }
}
