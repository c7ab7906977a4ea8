// The functions of InfluxQL, for completion and help.
import type { SqlFunction } from '../api'

type Line = [name: string, signature: string, description: string]

const aggregates: Line[] = [
  ['count', 'count(field)', 'How many values.'], ['distinct', 'distinct(field)', 'The different values.'], ['sum', 'sum(field)', 'The sum. sum(*) is that of every field of numbers.'], ['mean', 'mean(field)', 'The average.'], ['median', 'median(field)', 'The value in the middle.'],
  ['mode', 'mode(field)', 'The most frequent value.'], ['spread', 'spread(field)', 'The greatest less the least.'], ['stddev', 'stddev(field)', 'The standard deviation.'], ['integral', 'integral(field, 1s)', 'The area under the line.'],
  ['min', 'min(field)', 'The least.'], ['max', 'max(field)', 'The greatest.'], ['first', 'first(field)', 'The oldest.'], ['last', 'last(field)', 'The newest.'], ['percentile', 'percentile(field, 95)', 'The value that so many percent do not exceed.'],
  ['top', 'top(field, tag, 5)', 'The greatest values, with their time.'], ['bottom', 'bottom(field, tag, 5)', 'The least values, with their time.'], ['sample', 'sample(field, 10)', 'Values by chance.'],
]
const transformations: Line[] = [
  ['derivative', 'derivative(mean(field), 1s)', 'How much it changes in that time.'], ['non_negative_derivative', 'non_negative_derivative(last(field), 1s)', 'The same, without falls: for counters.'], ['difference', 'difference(sum(field))', 'The change from value to value.'], ['non_negative_difference', 'non_negative_difference(last(field))', 'The same, without falls.'],
  ['moving_average', 'moving_average(mean(field), 5)', 'The average of the last values.'], ['cumulative_sum', 'cumulative_sum(sum(field))', 'The sum so far.'], ['elapsed', 'elapsed(field, 1s)', 'The time between values.'],
  ['abs', 'abs(field)', 'Without its sign.'], ['ceil', 'ceil(field)', 'Rounded up.'], ['floor', 'floor(field)', 'Rounded down.'], ['round', 'round(field)', 'Rounded.'], ['pow', 'pow(field, 2)', 'To a power.'], ['sqrt', 'sqrt(field)', 'The square root.'], ['ln', 'ln(field)', 'The natural logarithm.'], ['log2', 'log2(field)', 'The logarithm of base 2.'], ['log10', 'log10(field)', 'The logarithm of base 10.'],
]
const rest: Line[] = [
  ['time', 'time(30s)', 'Points of each interval together.'], ['now', 'now()', 'The time of the server.'], ['fill', 'fill(null)', 'What stands for an interval without points: null, none, previous, linear or a number.'],
]

const described = (kind: SqlFunction['kind']) => ([name, signature, description]: Line): SqlFunction => ({ name, kind, signature, description, example: null })

export const INFLUX_FUNCTIONS: SqlFunction[] = [...aggregates.map(described('aggregate')), ...transformations.map(described('scalar')), ...rest.map(described('window'))]

export const INFLUX_KEYWORDS = 'select from where group by fill order limit offset slimit soffset and or as asc desc null none previous linear tz show measurements series tag field keys values databases with key in retention policies'
