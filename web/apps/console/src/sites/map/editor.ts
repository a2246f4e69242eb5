import '@geoman-io/leaflet-geoman-free'
import '@geoman-io/leaflet-geoman-free/dist/leaflet-geoman.css'

import type { Polygon } from 'geojson'
import L from 'leaflet'

import { type Outline, toOutline } from '../outline/outline.ts'
import { STYLES } from './outline-styles.ts'

const DRAWN = STYLES.drawn.path

/** Draws, changes and cuts polygons on a map. */
export interface OutlineEditor {
  show(outline: Outline | undefined): void
}

/** Give a map the tools to draw an outline; `changed` gets the outline after each change. */
export function addEditor(
  map: L.Map,
  language: 'zh' | 'en',
  changed: (outline: Outline | undefined) => void,
): OutlineEditor {
  const group = L.featureGroup().addTo(map)
  map.pm.setLang(language)
  map.pm.setGlobalOptions({ layerGroup: group, snappable: true, allowSelfIntersection: false })
  map.pm.setPathOptions(DRAWN)
  map.pm.addControls({
    position: 'topleft',
    drawMarker: false,
    drawCircle: false,
    drawCircleMarker: false,
    drawPolyline: false,
    drawText: false,
    rotateMode: false,
  })
  nameButtons(map)

  const polygons = () => map.pm.getGeomanLayers().filter((layer) => layer instanceof L.Polygon)
  const report = () =>
    changed(toOutline({ type: 'FeatureCollection', features: polygons().map((each) => each.toGeoJSON(9)) }))
  // The tools change the layers of the map after their events.
  const reportSoon = () => setTimeout(report)
  const watch = (layer: L.Layer) => layer.on('pm:edit pm:dragend pm:cut pm:remove', reportSoon)
  map.on('pm:create', ({ layer }) => {
    watch(layer)
    reportSoon()
  })
  map.on('pm:cut', ({ layer }) => {
    if (layer instanceof L.LayerGroup) layer.eachLayer(watch)
    else watch(layer)
    reportSoon()
  })
  map.on('pm:remove', reportSoon)

  function show(outline: Outline | undefined) {
    for (const layer of polygons()) layer.remove()
    group.clearLayers()
    for (const coordinates of outline?.coordinates ?? []) {
      const polygon: Polygon = { type: 'Polygon', coordinates }
      for (const layer of L.geoJSON(polygon, { style: DRAWN }).getLayers()) {
        watch(layer)
        group.addLayer(layer)
      }
    }
  }
  return { show }
}

/** The tools have their names in a title around the link: give them to the link, for readers of screens. */
function nameButtons(map: L.Map): void {
  for (const button of map.getContainer().querySelectorAll('.leaflet-buttons-control-button')) {
    const name = button.closest('[title]')?.getAttribute('title')
    if (name) button.setAttribute('aria-label', name)
  }
}
