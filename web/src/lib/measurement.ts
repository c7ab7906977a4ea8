// What a measurement holds, and the query that is made for its chart and its map.
import { sql, type Column, type Problem, type Row } from './api'
import { idToCell } from './s2'

export interface Shape {
  measurement: string
  /** The measurement as SQL names it. */
  table: string
  columns: Column[]
  tags: string[]
  /** Columns of numbers; the first is charted unless another is chosen. */
  measures: Column[]
  /** How a row says where it is; `null` when it does not. */
  place: Place | null
  /** The time of the newest point. */
  newest: string | null
}

export type Place = { kind: 's2'; column: string } | { kind: 'point'; lat: string; long: string }
export type Aggregate = 'sum' | 'avg' | 'max' | 'min'

const isText = (column: Column) => /utf8|string/i.test(column.type)
const isNumber = (column: Column) => /^(u?int|float|decimal)/i.test(column.type)
export const isTime = (column: Column) => /timestamp|date/i.test(column.type)

/** `null` when nothing was written yet. */
export async function shapeOf(group: string, measurement: string, signal: AbortSignal): Promise<Shape | null> {
  const table = tableOf(group, measurement)
  try {
    const [{ columns, rows }, newest] = await Promise.all([
      sql.query(`SELECT * FROM ${table} LIMIT 20`, signal),
      sql.query(`SELECT max(time) AS newest FROM ${table}`, signal),
    ])
    const at = newest.rows[0]?.newest
    return rows.length > 0 ? { ...shape(measurement, columns, rows, table), newest: typeof at === 'string' ? at : null } : null
  } catch (error) {
    if ((error as Problem).detail?.includes('no measurement')) return null
    throw error
  }
}

export function shape(measurement: string, columns: Column[], rows: Row[], table = sqlName(measurement)): Shape {
  const place = findPlace(columns, rows)
  const measures = columns.filter((column) => isNumber(column) && !(place?.kind === 'point' && [place.lat, place.long].includes(column.name)) && !column.name.startsWith('_'))
  return { measurement, table, columns, tags: columns.filter(isText).map((column) => column.name), measures, place, newest: null }
}

export function findPlace(columns: Column[], rows: Row[]): Place | null {
  const isCell = (name: string) => {
    const values = rows.map((row) => row[name]).filter((value) => value !== null && value !== undefined && value !== '')
    return values.length > 0 && values.every((value) => idToCell(String(value)) !== null)
  }
  const cell = columns.find((column) => /s2/i.test(column.name) && isCell(column.name)) ?? columns.find((column) => isText(column) && isCell(column.name) && /cell|area|token/i.test(column.name))
  if (cell) return { kind: 's2', column: cell.name }
  const named = (pattern: RegExp) => columns.find((column) => isNumber(column) && pattern.test(column.name))?.name
  const [lat, long] = [named(/(^|_)lat(itude)?$/i), named(/(^|_)(long?|lng|longitude)$/i)]
  return lat && long ? { kind: 'point', lat, long } : null
}

/** Counts are added up, everything else is averaged. */
export const aggregateFor = (column: Column | undefined): Aggregate => (column && /^u?int/i.test(column.type) ? 'sum' : 'avg')

export interface ChartChoice {
  measure: string
  by: string
  agg: Aggregate
  range: string
  /** Equal conditions on tags. */
  where: Record<string, string>
}

export const RANGES: Record<string, string> = { '5m': '5 minutes', '15m': '15 minutes', '1h': '1 hour', '6h': '6 hours', '24h': '24 hours', '7d': '7 days' }

/** A tag with few values makes a readable chart; the place never does. */
export function defaultGroup(shape: Shape): string {
  const place = shape.place?.kind === 's2' ? shape.place.column : ''
  return shape.tags.find((tag) => tag !== place && !tag.startsWith('_')) ?? ''
}

export function chartQuery(shape: Shape, choice: ChartChoice): string {
  const group = choice.by ? `, ${quoted(choice.by)}` : ''
  return `SELECT time${group}, ${choice.agg}(${quoted(choice.measure)}) AS ${quoted(choice.measure)}
FROM ${shape.table}
WHERE ${conditions(shape, choice)}
GROUP BY time${group}
ORDER BY time`
}

function conditions(shape: Shape, choice: Pick<ChartChoice, 'range' | 'where'>): string {
  const range = `time > (SELECT max(time) FROM ${shape.table}) - INTERVAL '${RANGES[choice.range] ?? '1 hour'}'`
  return [range, ...equals(choice.where)].join('\n  AND ')
}

const equals = (where: Record<string, string>) => Object.entries(where).map(([tag, value]) => `${quoted(tag)} = ${literal(value)}`)

export function timesQuery(shape: Shape, where: Record<string, string>): string {
  return `SELECT time, count(1) AS n FROM ${shape.table} WHERE ${conditions(shape, { range: '1h', where })} GROUP BY time ORDER BY time`
}

export interface MapChoice {
  colour: string
  height: string
  where: Record<string, string>
}

export function cellsQuery(shape: Shape, time: string, choice: MapChoice): string {
  const value = (name: string, as: string) => `${aggregateFor(shape.measures.find((column) => column.name === name))}(${quoted(name)}) AS ${as}`
  const keys = shape.place?.kind === 's2' ? [quoted(shape.place.column)] : shape.place ? [quoted(shape.place.lat), quoted(shape.place.long)] : []
  const height = choice.height ? `, ${value(choice.height, 'height')}` : ''
  const where = [`time = TIMESTAMP '${time}'`, ...equals(choice.where)].join(' AND ')
  return `SELECT ${keys.join(', ')}, ${value(choice.colour, 'colour')}${height} FROM ${shape.table} WHERE ${where} GROUP BY ${keys.join(', ')}`
}

export const valuesQuery = (shape: Shape, tag: string) =>
  `SELECT DISTINCT ${quoted(tag)} AS value FROM ${shape.table} ORDER BY value LIMIT 200`

const RESERVED = new Set('all and any as asc between by case cast cross current date default delete desc distinct drop else end except exists extract false fetch first for from full group having if in inner insert intersect interval into is join last lateral left like limit natural not null nulls offset on or order outer over partition primary qualify range right row rows select set some table then time timestamp to true union unnest update user using value values when where window with'.split(' '))

/** The measurement of a group as SQL names it. */
export const tableOf = (group: string, measurement: string) => `${sqlName(group)}.${sqlName(measurement)}`

/** Quoted only where it must be: a query is for people, too. */
export const sqlName = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : quoted(name))
export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`
