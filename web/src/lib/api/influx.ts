// InfluxDB's API of the server: `/query` beside the REST API, with a database per group.
import type { InfluxAnswer } from '../influx/answer'
import { errorOf } from '../influx/answer'
import { call, Problem, search } from './client'

/** The code of a problem that InfluxQL itself tells. */
export const INFLUX_ERROR = 'influxql'

export const influx = {
  /** Times come in milliseconds. An error of the query is a problem with its text as InfluxDB has it. */
  async query(database: string, query: string, signal?: AbortSignal): Promise<InfluxAnswer> {
    const answer = await call<InfluxAnswer | undefined>(`/query${search({ db: database, q: query, epoch: 'ms' })}`, { signal, base: '', otherErrors: (document) => (typeof document.error === 'string' ? document.error : null) })
    const error = answer ? errorOf(answer) : null
    if (error !== null) throw new Problem({ code: INFLUX_ERROR, status: 200, detail: error })
    return answer ?? {}
  },
}
