// The wire form of protobuf, as far as it can be followed without a schema: only to say where bytes break.

/** The first byte of the outer message that no field can begin or continue at; `null` when all of it holds together. */
export function brokenAt(bytes: Uint8Array): number | null {
  let at = 0
  while (at < bytes.length) {
    const start = at
    const tag = varint(bytes, at)
    if (!tag || tag.value < 8) return start
    const length = lengthOf(bytes, tag.end, tag.value & 7)
    if (length === null || tag.end + length > bytes.length) return tag.end
    at = tag.end + length
  }
  return null
}

function lengthOf(bytes: Uint8Array, at: number, wireType: number): number | null {
  const number = wireType === 0 || wireType === 2 ? varint(bytes, at) : null
  switch (wireType) {
    case 0: return number ? number.end - at : null
    case 1: return 8
    case 2: return number ? number.end - at + number.value : null
    case 5: return 4
    default: return null
  }
}

const VARINT_BYTES_MAX = 10

function varint(bytes: Uint8Array, from: number): { value: number; end: number } | null {
  let value = 0
  for (let index = 0; index < VARINT_BYTES_MAX; index++) {
    const byte = bytes[from + index]
    if (byte === undefined) return null
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: from + index + 1 }
  }
  return null
}
