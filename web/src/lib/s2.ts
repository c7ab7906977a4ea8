// From an S2 cell id (decimal text or hex token) to its corners on the globe. Ids need 64 bits, hence BigInt.

export interface S2Cell {
  token: string
  level: number
  /** Longitude and latitude, the first repeated at the end. */
  ring: [number, number][]
}

const POSITION_TO_IJ = [[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]] as const
const POSITION_TO_ORIENTATION = [1, 0, 0, 3] as const

export function parseId(text: string): bigint | null {
  const isDecimal = /^\d{17,20}$/.test(text)
  if (!isDecimal && !/^[0-9a-f]{1,16}$/i.test(text)) return null
  const id = isDecimal ? BigInt(text) : BigInt(`0x${text.padEnd(16, '0')}`)
  if (id === 0n || id >= 1n << 64n || id >> 61n > 5n) return null
  const lowest = id & -id
  // The lowest set bit is at an even place: its height is the level.
  return lowest & 0x1555555555555555n ? id : null
}

export function idToCell(text: string): S2Cell | null {
  const id = parseId(text)
  if (id === null) return null
  const face = Number(id >> 61n)
  const level = 30 - ((id & -id).toString(2).length - 1) / 2
  let [i, j, orientation] = [0, 0, face & 1]
  for (let step = 0; step < level; step++) {
    const position = Number((id >> BigInt(59 - 2 * step)) & 3n)
    const ij = POSITION_TO_IJ[orientation]?.[position] ?? 0
    i = i * 2 + (ij >> 1)
    j = j * 2 + (ij & 1)
    orientation ^= POSITION_TO_ORIENTATION[position] ?? 0
  }
  const size = 2 ** level
  const ring = ([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]] as const).map(([di, dj]) => corner(face, (i + di) / size, (j + dj) / size))
  // A cell across the date line is drawn on one side of it.
  const first = ring[0]?.[0] ?? 0
  for (const point of ring) point[0] += point[0] - first > 180 ? -360 : point[0] - first < -180 ? 360 : 0
  return { token: id.toString(16).padStart(16, '0').replace(/0+$/, ''), level, ring }
}

/** The quadratic projection of the S2 library, from the square to the sphere. */
function corner(face: number, s: number, t: number): [number, number] {
  const [u, v] = [project(s), project(t)]
  const [x, y, z] = ([[1, u, v], [-u, 1, v], [-u, -v, 1], [-1, -v, -u], [v, -1, -u], [v, u, -1]] as const)[face] ?? [1, 0, 0]
  return [(Math.atan2(y, x) * 180) / Math.PI, (Math.atan2(z, Math.hypot(x, y)) * 180) / Math.PI]
}

const project = (s: number) => (s >= 0.5 ? (4 * s * s - 1) / 3 : (1 - 4 * (1 - s) ** 2) / 3)
