// What the chart shows: choices that make a query, or a query that somebody has written. All of it is in the address.
import { anchored, influxQuery, RANGE_DEFAULT, readRange, REFRESH_DEFAULT, REFRESHES, sqlQuery, stepFor, writeRange, type Language } from '$lib/chart-query'
import { t } from '$lib/i18n'
import { groupsOf, rangeOf, toggleGroup, withRange, type Range } from '$lib/influx/query'
import type { Shape } from '$lib/measurement'
import { router } from '$lib/router.svelte'

const DEFAULT: Range = { kind: 'last', ms: 900_000 }
/** A window's row comes after its end; one that is a few windows old is not of the past. */
const RECENT_MS = 600_000
const RECENT_WINDOWS = 3

export class ChartChoices {
  /** Turns false when the server has no InfluxQL. */
  hasInflux = $state(true)
  /** What stands in the editor. */
  draft = $state('')
  #shape: () => Shape
  #windowMs: () => number | null
  #now = Date.now()

  constructor(shape: () => Shape, windowMs: () => number | null) {
    this.#shape = shape
    this.#windowMs = windowMs
    $effect(() => {
      this.draft = this.query
    })
  }

  language: Language = $derived.by(() => (!this.hasInflux || router.get('lang') === 'sql' ? 'sql' : 'influxql'))
  /** The query that somebody has written, or nothing. */
  own = $derived(router.get('q'))
  #asked: Range = $derived(readRange(router.get('range')) ?? DEFAULT)
  #by: string[] = $derived.by(() => router.get('by').split(',').filter(Boolean).map(decodeURIComponent).filter((tag) => this.#shape().tags.includes(tag)))
  #madeRange: Range = $derived.by(() => {
    const recent = Math.max(RECENT_MS, RECENT_WINDOWS * (this.#windowMs() ?? 0))
    const { newest } = this.#shape()
    return newest !== null && this.#now - Date.parse(newest) < recent ? this.#asked : anchored(this.#asked, newest, this.#now)
  })
  /** The dagger gave nothing for so long that the chart ends in the past, in milliseconds. */
  quietMs: number | null = $derived.by(() => (!this.own && this.#asked.kind === 'last' && this.#madeRange.kind === 'between' ? this.#now - Date.parse(this.#madeRange.to) : null))

  made(language: Language): string {
    const choices = { range: this.#madeRange, by: this.#by }
    return (language === 'sql' ? sqlQuery : influxQuery)(this.#shape(), this.stepMs, choices)
  }

  stepMs: number = $derived.by(() => stepFor(this.#windowMs(), this.#asked))
  query: string = $derived.by(() => this.own || this.made(this.language))
  isEdited: boolean = $derived.by(() => this.draft.trim() !== this.query.trim())

  // A control changes the text that is there when somebody has written one, and the choices otherwise.
  #text: string = $derived.by(() => (this.isEdited ? this.draft : this.own))
  #isSqlText: boolean = $derived.by(() => this.#text !== '' && this.language === 'sql')
  range: Range | null = $derived.by(() => (this.#text === '' ? this.#asked : this.language === 'influxql' ? rangeOf(this.#text) : null))
  groups: string[] = $derived.by(() => (this.#text === '' ? this.#by : this.language === 'influxql' ? groupsOf(this.#text) : []))
  rangeLocked: string = $derived.by(() => (this.#text === '' ? '' : this.#isSqlText ? t.chart.ownSql : withRange(this.#text, DEFAULT) === null ? t.chart.ownRange : ''))
  groupsLocked: string = $derived.by(() => (this.#text === '' ? '' : this.#isSqlText ? t.chart.ownSql : toggleGroup(this.#text, '_') === null ? t.chart.ownGroups : ''))

  refresh: string = $derived.by(() => (router.get('refresh') in REFRESHES ? router.get('refresh') : REFRESH_DEFAULT))

  setRefresh(name: string): void {
    router.set({ refresh: name === REFRESH_DEFAULT ? null : name })
  }

  setRange(range: Range): void {
    const text = writeRange(range)
    if (this.#text === '') router.set({ range: text === RANGE_DEFAULT ? null : text })
    else this.#write(withRange(this.#text, range))
  }

  toggle(tag: string): void {
    if (this.#text !== '') return this.#write(toggleGroup(this.#text, tag))
    const by = this.#by.includes(tag) ? this.#by.filter((other) => other !== tag) : [...this.#by, tag]
    router.set({ by: by.map(encodeURIComponent).join(',') || null })
  }

  run(): void {
    this.#write(this.draft)
  }

  #write(text: string | null): void {
    if (text === null) return
    this.draft = text
    router.set({ q: text.trim() === '' || text.trim() === this.made(this.language).trim() ? null : text })
    this.draft = this.query
  }

  /** The text of the other language is kept aside, so that switching back finds it. */
  #aside: Record<Language, string> = { influxql: '', sql: '' }

  setLanguage(language: Language): void {
    this.#aside[this.language] = this.#text
    router.set({ lang: language === 'sql' ? 'sql' : null, q: this.#aside[language] || null })
  }

  reset(): void {
    router.set({ q: null })
    this.draft = this.query
  }
}
