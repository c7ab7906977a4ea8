// The functions of dagger SQL, for a server that does not list them itself yet.
import { sql, type SqlFunction } from './api'

type Line = [name: string, signature: string, description: string]

const scalar: Line[] = [
  ['S2Id', 'S2Id(lat, lon, level)', 'Decimal id of the S2 cell of a place. Level 13 is about a square kilometre.'], ['S2Token', 'S2Token(lat, lon, level)', 'Hex token of the S2 cell of a place.'], ['S2AreaInKm2', 'S2AreaInKm2(id)', 'Area of an S2 cell.'],
  ['GeoHash', 'GeoHash(lat, lon, length)', 'Geohash of a place.'], ['Distance', 'Distance(lat1, lon1, lat2, lon2)', 'Kilometres between two places, along the globe.'], ['H3Id', 'H3Id(lat, lon, resolution)', 'H3 cell of a place.'],
  ['ArrayAggregate', "ArrayAggregate(array, 'average', 'float')", 'Average, min, max, sum or count of an array.'], ['ArrayOperate', "ArrayOperate(array, 'distinct.sorted', 'string')", 'Distinct and sorted, chained with dots.'], ['ElementAt', 'ElementAt(array, index)', 'Element of an array; negative counts from the end; NULL when out of range.'],
  ['MapGet', 'MapGet(map, key)', 'Value of a key.'], ['ListContains', 'ListContains(list, x)', 'Whether the list has x.'], ['Split', 'Split(text, regex)', 'Parts of a text.'], ['ByteToString', 'ByteToString(bytes)', 'Bytes as text.'],
  ['JsonQuery', 'JsonQuery(json, path)', 'What stands at a JSON path.'], ['JsonUpdate', 'JsonUpdate(json, path, value)', 'The JSON with a value changed.'], ['JsonDelete', 'JsonDelete(json, path)', 'The JSON without what stands at a path.'],
  ['FormatTimeInZone', 'FormatTimeInZone(time, zone, pattern)', 'A time as text in a time zone.'], ['TimestampFromUnix', 'TimestampFromUnix(seconds)', 'A time from seconds since 1970.'], ['TimeInDate', 'TimeInDate(seconds, hour, minute[, zone])', 'That time on the same day.'],
  ['StartOfWeek', 'StartOfWeek(milliseconds, zone)', 'Monday 0:00 of the week.'], ['EndOfWeek', 'EndOfWeek(milliseconds, zone)', 'Sunday 23:59:59 of the week.'], ['StartOfMonth', 'StartOfMonth(seconds, zone)', 'The first of the month.'], ['EndOfMonth', 'EndOfMonth(seconds, zone)', 'The last of the month.'],
  ['COALESCE', 'COALESCE(a, b, ...)', 'The first that is not NULL.'], ['CAST', 'CAST(x AS type)', 'x as another type.'], ['CONCAT', 'CONCAT(a, b, ...)', 'Texts together.'], ['LOWER', 'LOWER(text)', 'In small letters.'], ['UPPER', 'UPPER(text)', 'In capitals.'], ['ROUND', 'ROUND(x[, digits])', 'x rounded.'], ['ABS', 'ABS(x)', 'x without its sign.'],
]
const aggregate: Line[] = [
  ['COUNT', 'COUNT(1)', 'How many rows.'], ['SUM', 'SUM(x)', 'The sum.'], ['AVG', 'AVG(x)', 'The average.'], ['MIN', 'MIN(x)', 'The smallest.'], ['MAX', 'MAX(x)', 'The largest.'], ['DistinctCount', 'DistinctCount(x)', 'How many different values, exactly.'], ['ApproxDistinctCount', 'ApproxDistinctCount(x)', 'How many different values, about; for very many.'],
  ['PercentileAggregator', 'PercentileAggregator(percent, x)', 'Exact percentile, for example 95.'], ['ApproxPercentile', 'ApproxPercentile(percent, x)', 'Percentile, about.'], ['CollectArray', 'CollectArray(x)', 'All values as an array.'],
]
const window: Line[] = [
  ['TUMBLE', "TUMBLE(rowtime, INTERVAL '1' MINUTE)", 'Windows side by side, in GROUP BY.'], ['HOP', "HOP(rowtime, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)", 'Windows of the last size, begun every slide, in GROUP BY.'], ['SESSION', "SESSION(rowtime, INTERVAL '5' MINUTE)", 'A window ends after a gap, in GROUP BY.'],
  ['TUMBLE_START', "TUMBLE_START(rowtime, INTERVAL '1' MINUTE)", 'Start of the window.'], ['TUMBLE_END', "TUMBLE_END(rowtime, INTERVAL '1' MINUTE)", 'End of the window.'], ['HOP_END', "HOP_END(rowtime, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)", 'End of the window.'], ['SESSION_END', "SESSION_END(rowtime, INTERVAL '5' MINUTE)", 'End of the session.'],
]
const table: Line[] = [['HistogramBucket', "LATERAL TABLE(HistogramBucket(x, '1,2,5'))", 'Cumulative buckets, a row each.']]

const kinds = { scalar, aggregate, window, table } as const
const known: SqlFunction[] = Object.entries(kinds).flatMap(([kind, lines]) =>
  lines.map(([name, signature, description]) => ({ name, kind: kind as SqlFunction['kind'], signature, description })))

let asked: Promise<SqlFunction[]> | null = null

export function sqlFunctions(): Promise<SqlFunction[]> {
  asked ??= sql.functions().then((list) => list ?? known, () => known)
  return asked
}
