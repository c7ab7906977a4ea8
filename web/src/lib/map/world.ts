// Countries from Natural Earth (public domain), unrolled so that no line runs across the whole map.
import { feature, mesh } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import url from 'world-atlas/countries-50m.json?url'

type World = Topology<{ countries: GeometryCollection<{ name: string }> }>
let fetched: Promise<World> | null = null

function world(): Promise<World> {
  fetched ??= fetch(url).then((answer) => {
    if (!answer.ok) throw new Error(`the map of the world could not be loaded: ${answer.status}`)
    return answer.json() as Promise<World>
  })
  fetched.catch(() => (fetched = null))
  return fetched
}

export async function land(): Promise<GeoJSON.FeatureCollection> {
  const topology = await world()
  const collection = feature(topology, topology.objects.countries)
  // Antarctica goes round the pole and has no inside on a flat map.
  const features = collection.features.filter((country) => country.properties.name !== 'Antarctica')
  for (const country of features) {
    const { geometry } = country
    if (geometry.type === 'Polygon') geometry.coordinates.forEach(unroll)
    if (geometry.type === 'MultiPolygon') geometry.coordinates.forEach((polygon) => polygon.forEach(unroll))
  }
  return { type: 'FeatureCollection', features }
}

export async function borders(): Promise<GeoJSON.Feature> {
  const topology = await world()
  // Lines between two countries only; coasts are drawn by the land.
  const geometry = mesh(topology, topology.objects.countries, (a, b) => a !== b)
  geometry.coordinates.forEach(unroll)
  return { type: 'Feature', properties: {}, geometry }
}

function unroll(ring: GeoJSON.Position[]): void {
  let shift = 0
  for (let index = 1; index < ring.length; index++) {
    const [point, before] = [ring[index], ring[index - 1]]
    if (!point || !before) continue
    const step = (point[0] ?? 0) + shift - (before[0] ?? 0)
    if (step > 180) shift -= 360
    else if (step < -180) shift += 360
    point[0] = (point[0] ?? 0) + shift
  }
}
