// Which rows of a preview are of a window that has not ended: the run ends where the records end, and shows it as far as it is.

/**
 * The end of such a window is later than the time of the answer, less what the query waits for late records.
 * Said is the value of the time column from which rows are open; `null` when the query has no windows or does not tell their times.
 */
export function openAfter(sql: string, window: { kind: string; ms: number } | null, answeredAt: number, delayMs: number): number | null {
  if (!window) return null
  if (/_END\s*\(|\bwindow_end\b/i.test(sql)) return answeredAt - delayMs
  if (/_START\s*\(|\bwindow_start\b/i.test(sql) && window.kind === 'TUMBLE') return answeredAt - delayMs - window.ms
  return null
}
