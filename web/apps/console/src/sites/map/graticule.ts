import L from 'leaflet'

const WANTED_PX = 160
const STEPS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
const COARSEST = 10
const MAX_LINES = 60

/** The finest step of a grid, in degrees, whose lines are not closer than wanted. */
export function gridStep(degreesPerPixel: number): number {
  const least = degreesPerPixel * WANTED_PX
  return STEPS.find((step) => step >= least) ?? COARSEST
}

/** The multiples of a step between two values. */
export function gridLines(from: number, to: number, step: number): number[] {
  const first = Math.ceil(from / step)
  const count = Math.min(MAX_LINES, Math.floor(to / step) - first + 1)
  return Array.from({ length: Math.max(0, count) }, (_, index) => Number(((first + index) * step).toFixed(4)))
}

/** Lines of longitude and latitude with their degrees: the map needs no pictures from a map service. */
export function addGraticule(map: L.Map): void {
  map.createPane('graticule').classList.add('graticule')
  const lines = L.layerGroup([], { pmIgnore: true }).addTo(map)

  function add(line: L.LatLngTuple[], at: L.LatLngTuple, text: string, name: string) {
    const options = { interactive: false, pane: 'graticule', pmIgnore: true, snapIgnore: true }
    L.polyline(line, { ...options, color: '#c3c9d1', weight: 1 }).addTo(lines)
    const icon = L.divIcon({ className: `graticule-label ${name}`, html: text, iconSize: [72, 16] })
    L.marker(at, { ...options, icon, keyboard: false }).addTo(lines)
  }

  function draw() {
    lines.clearLayers()
    const bounds = map.getBounds()
    const [west, east, south, north] = [
      bounds.getWest(),
      bounds.getEast(),
      bounds.getSouth(),
      bounds.getNorth(),
    ]
    const step = gridStep((east - west) / Math.max(1, map.getSize().x))
    for (const lon of gridLines(west, east, step)) {
      const line: L.LatLngTuple[] = [
        [south, lon],
        [north, lon],
      ]
      add(line, [south, lon], `${lon}°`, 'of-lon')
    }
    for (const lat of gridLines(south, north, step)) {
      const line: L.LatLngTuple[] = [
        [lat, west],
        [lat, east],
      ]
      add(line, [lat, east], `${lat}°`, 'of-lat')
    }
  }
  map.on('moveend resize', draw)
}
