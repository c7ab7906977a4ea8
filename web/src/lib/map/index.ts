// The map library with its worker, and the world as it is known without any network. One lazily loaded piece.
import 'maplibre-gl/dist/maplibre-gl.css'
import * as maplibre from 'maplibre-gl'
// Without this the production map stays blank, silently: the worker is a module of its own.
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { colour, VIRIDIS } from '../colours'
import { borders, land } from './world'

maplibre.setWorkerUrl(workerUrl)

export type { Map as MapView } from 'maplibre-gl'
export { maplibre }

const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] }
const ramp = (property: string): maplibre.ExpressionSpecification =>
  ['interpolate', ['linear'], ['get', property], ...VIRIDIS.flatMap((hex, index) => [index / (VIRIDIS.length - 1), hex])] as maplibre.ExpressionSpecification

export const HEIGHT_MAX_M = 6000

/** Sea, land, borders and empty cells; `c` and `h` of a cell are between 0 and 1. */
export function style(): maplibre.StyleSpecification {
  const source = (data: GeoJSON.GeoJSON): maplibre.GeoJSONSourceSpecification => ({ type: 'geojson', data, tolerance: 0.1 })
  return {
    version: 8,
    sources: { land: source(EMPTY), borders: source(EMPTY), cells: { type: 'geojson', data: EMPTY, promoteId: 'n' } },
    layers: [
      { id: 'sea', type: 'background', paint: { 'background-color': colour('--map-sea') } },
      { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': colour('--map-land') } },
      { id: 'borders', type: 'line', source: 'borders', paint: { 'line-color': colour('--line-strong'), 'line-width': 0.6 } },
      { id: 'cells', type: 'fill', source: 'cells', filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': ramp('c'), 'fill-opacity': 0.82, 'fill-outline-color': colour('--map-land') } },
      { id: 'points', type: 'circle', source: 'cells', filter: ['==', ['geometry-type'], 'Point'], paint: { 'circle-color': ramp('c'), 'circle-radius': ['interpolate', ['linear'], ['zoom'], 6, 2.5, 14, 7], 'circle-opacity': 0.85 } },
      { id: 'raised', type: 'fill-extrusion', source: 'cells', layout: { visibility: 'none' }, filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-extrusion-color': ramp('c'), 'fill-extrusion-height': ['*', ['get', 'h'], HEIGHT_MAX_M], 'fill-extrusion-opacity': 0.92 } },
      { id: 'chosen', type: 'line', source: 'cells', filter: ['==', ['get', 'n'], -1], paint: { 'line-color': colour('--text'), 'line-width': 2 } },
    ],
  }
}

/** The world comes after the cells: what was asked for is drawn first. */
export async function addWorld(map: maplibre.Map): Promise<void> {
  const [landData, borderData] = await Promise.all([land(), borders()])
  if (!map.getSource('land')) return
  ;(map.getSource('land') as maplibre.GeoJSONSource).setData(landData)
  ;(map.getSource('borders') as maplibre.GeoJSONSource).setData(borderData)
}

export function canDraw(): boolean {
  return document.createElement('canvas').getContext('webgl2') !== null
}
