// The viewer: NiiVue's three planes, outlines over them, tools; one instance an element, kept over reruns of the page.

import { Niivue, NVImage, NVMesh, SHOW_RENDER, DRAG_MODE } from '@niivue/niivue'
import { paint, ERROR_LEGEND } from './contours.js'
import { fillBetween } from './between.js'
import { layPlanes, pixelsOfVoxel, wholePixels } from './layout.js'
import { caliperText, diskStatistics, latestAxes, slabMaximum } from './measure.js'
import { alive, Refused, save, volume } from './server.js'
import { packed, unpacked } from './packing.js'
import { panel } from './panel.js'
import { Parts } from './parts.js'
import { fractions, millimetres } from './places.js'
import { Earlier } from './prior.js'
import { inMillimetres, surface } from './surfaces.js'
import { scrollSlices } from './wheel.js'

const ALIVE_EVERY_MS = 5000
const viewers = new WeakMap()
// Drawings that were not stored when their images left the screen, packed, by whose they are; however many, until they
// are stored or the browser's tab is closed.
const unsaved = new Map()
const mounted = new Set()
const LINE_PIXELS = 1.6
const AHEAD_AFTER_MS = 1000
// What is around a tumour is seen through and drawn before it.
const SEE_THROUGH = { lungs: 0.3, peritumoural: 0.4, 'measured ring': 0.4, doubt: 0.5 }

window.addEventListener('beforeunload', (event) => {
  if (unsaved.size || [...mounted].some((viewer) => viewer.hasUnsaved())) event.preventDefault()
})

export default function (component) {
  const { parentElement, data } = component
  if (!supported()) {
    component.setStateValue('webgl2', false)
    return undefined
  }
  let viewer = viewers.get(parentElement)
  if (!viewer) {
    viewer = new Viewer(parentElement)
    viewers.set(parentElement, viewer)
  }
  viewer.show(component, data)
  return () => {
    viewer.close()
    viewers.delete(parentElement)
  }
}

function supported() {
  return Boolean(document.createElement('canvas').getContext('webgl2'))
}

class Viewer {
  constructor(parent) {
    this.host = parent.querySelector('.viewer') || parent
    this.panel = panel(this.host, this)
    this.host.viewer = this
    mounted.add(this)
    this.earlier = new Earlier(this.panel.pane, this)
    this.scene = { layers: [], bits: null, error: null, errorOn: false, drawing: false, cache: new Map() }
    this.parts = new Parts()
    this.lastAlive = this.savedAt = 0
    this.saving = false
    this.key = this.reading = this.told = ''
    this.listening = new AbortController()
    this.nv = new Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      dragAndDropEnabled: false,
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.35, 0.7, 0.9, 0.6],
      crosshairWidthUnit: 'mm',
      crosshairGap: 12,
      fontColor: [0.9, 0.9, 0.9, 1],
      dragMode: DRAG_MODE.pan,
      maxDrawUndoBitmaps: 16,
      logLevel: 'error',
      clipPlaneHotKey: '',
      cycleClipPlaneHotKey: '',
      viewModeHotKey: '',
      isResizeCanvas: true,
      meshThicknessOn2D: 0,
    })
    this.nv.drawOpacity = 0.45
    this.ready = this.attach()
  }

  async attach() {
    const { canvas, overlay } = this.panel
    await this.nv.attachToCanvas(canvas)
    // NiiVue takes the focus when a stroke begins; the page must not scroll under the pen
    canvas.focus = () => HTMLElement.prototype.focus.call(canvas, { preventScroll: true })
    const draw = this.nv.drawScene.bind(this.nv)
    this.nv.drawScene = (...given) => {
      if (this.still) return undefined
      this.layOut(canvas)
      const result = draw(...given)
      paint(this.nv, overlay, this.scene)
      return result
    }
    // In 3D the surfaces stand alone: a block of CT would hide them
    this.nv.drawImage3D = () => {}
    this.nv.onLocationChange = (at) => {
      this.panel.location(at, this.slabOn())
      this.earlier.follow(Array.from(at.mm).slice(0, 3))
    }
    this.nv.onDragRelease = (at) => this.measured(at)
    this.nv.onMeasurementCompleted = () => this.measuredAxes()
    const signal = this.listening.signal
    scrollSlices(this.nv, canvas, this.panel.stage, signal, () => this.panel.ends())
    canvas.addEventListener('pointerup', () => setTimeout(() => this.sayVolume()), { signal })
    document.addEventListener('keydown', (event) => this.pressed(event), { signal })
    this.tellBeforeThePageActs(signal)
    for (const kind of ['pointerdown', 'pointermove', 'wheel', 'keydown']) {
      this.host.addEventListener(kind, () => this.stir(), { signal, passive: true, capture: true })
    }
  }

  async show(component, data) {
    this.component = component
    this.tokens = data.tokens
    this.data = data
    this.told = data.unsaved
    this.panel.configure(data)
    this.host.dataset.wanted = data.key
    if (data.key === this.key) {
      if (this.host.dataset.key !== data.key) return // still on their way, with the outlines and the earlier CT
      if (data.layersKey !== this.layersKey) await this.loadLayers(data)
      await this.followDraft(data)
      await this.earlier.show(data)
      return
    }
    const loading = (this.key = data.key)
    try {
      await this.ready
      await this.load(data, loading)
    } catch (error) {
      if (this.key !== loading) return
      this.key = ''
      if (this.data !== data) return this.show(this.component, this.data) // the page ran again meanwhile: with its tokens
      this.panel.say(`The images could not be fetched: ${error.message}.`, true)
    }
  }

  async load(data, loading) {
    const begun = performance.now()
    this.panel.say('Fetching the images …')
    this.scene.bits = this.scene.error = null
    const place = data.reading === this.reading ? this.place() : null
    this.reading = ''
    this.keepUnsaved()
    this.blank()
    this.earlier.clear()
    this.panel.pane.wanted(data.prior)
    for (const said of ['key', 'saved', 'ahead']) delete this.host.dataset[said]
    const [ct, bits] = await this.parts.open(data)
    const [low, high] = this.panel.windowOf()
    const image = await NVImage.loadFromUrl({ url: 'ct.nii', name: 'ct.nii', buffer: ct, cal_min: low, cal_max: high, trustCalMinMax: true })
    const outlines = await ras(bits, 'layers.nii')
    if (this.key !== loading) return
    this.scene.layers = data.layers.map((layer) => ({ ...layer, on: this.panel.isOn(layer) }))
    this.scene.bits = outlines
    this.slab = null
    this.scene.errorOn = false
    this.panel.fresh()
    this.reading = data.reading
    this.putUp(image, place, data.target)
    this.panel.say('')
    this.layersKey = data.layersKey
    this.host.dataset.layers = data.layersKey
    this.host.dataset.key = data.key
    this.host.dataset.firstSliceMs = Math.round(performance.now() - begun)
    this.showSurfaces()
    this.fetchAhead(data)
    await this.restore(data)
    if (this.key !== loading) return
    if (this.data.layersKey !== this.layersKey) await this.loadLayers(this.data)
    await this.earlier.show(this.data)
  }

  /** Put new images up at a place, else at the target: drawn once, for a slice drawn without a graphics card takes long. */
  putUp(image, place, target) {
    this.still = true
    ;[image.cal_min, image.cal_max] = this.panel.windowOf()
    this.nv.addVolume(image)
    this.still = false
    this.laid = ''
    this.goTo(place && this.holds(place) ? place : target)
  }

  /** Fetch the part that is one key away while the reader looks; where that fails it is fetched once he asks for it. */
  async fetchAhead(data) {
    await new Promise((later) => setTimeout(later, AHEAD_AFTER_MS)) // the first slice is drawn before
    if (this.key !== data.key) return
    const key = await this.parts.ahead(data).catch(() => '')
    if (key && this.key === data.key) this.host.dataset.ahead = key
  }

  /** Lay the planes out anew where images, canvas or 3D changed; what the reader zoomed or moved stays otherwise. */
  layOut(canvas) {
    const image = this.nv.volumes[0]
    if (!image) return
    const laid = [image.id, canvas.width, canvas.height, Boolean(this.rendered)].join()
    if (laid !== this.laid) {
      this.laid = laid
      layPlanes(this.nv, canvas, this.rendered)
      wholePixels(this.nv, canvas, this.nv.scene.crosshairPos, this.data.editable)
    }
    const pixels = pixelsOfVoxel(this.nv, canvas)
    this.nv.opts.crosshairWidth = (LINE_PIXELS * image.pixDimsRAS[1]) / pixels // thinner ones drop out
    this.panel.magnified(pixels, image.pixDimsRAS)
  }

  /** Take the images off the screen: no patient stands under the name of another while new ones are fetched. */
  blank() {
    while (this.nv.volumes.length) this.nv.removeVolumeByIndex(0)
    this.nv.clearMeasurements()
    this.putPenDown()
    this.scene.cache.clear()
    while (this.nv.meshes.length) this.nv.removeMesh(this.nv.meshes[0])
    this.panel.where.textContent = ''
    this.nv.drawScene()
  }

  /** Whether what is drawn on the images on screen differs from what is stored. */
  hasUnsaved() {
    const drawn = this.scene.drawing && this.nv.drawBitmap
    return Boolean(drawn && this.stored && !same(drawn, this.stored))
  }

  /** Keep a drawing that differs from what is stored, before its images go. */
  keepUnsaved() {
    if (!this.scene.drawing || !this.drawnOn) return
    const { drawingKey, owner, drawnFrom, over } = this.drawnOn
    unsaved.delete(drawingKey)
    if (this.hasUnsaved()) unsaved.set(drawingKey, { owner, drawnFrom, over, drawn: packed(this.nv.drawBitmap) })
  }

  /** Tell the page whose drawings were not stored, where that changed since it was told: it signs none of them. */
  tellUnsaved() {
    const here = this.scene.drawing ? this.drawnOn : null
    const owners = [...unsaved].filter(([key]) => key !== here?.drawingKey).map(([, kept]) => kept.owner)
    if (here && this.hasUnsaved()) owners.push(here.owner)
    const found = [...new Set(owners)].sort().join(' ')
    if (found === this.told || !this.component) return
    this.told = found
    this.component.setStateValue('unsaved', { of: found, at: Date.now() })
  }

  /** Whatever the reader presses on the page itself, a signature too, comes after the word of an unsaved drawing. */
  tellBeforeThePageActs(signal) {
    const tell = (event) => {
      if (!event.composedPath().includes(this.host)) this.tellUnsaved()
    }
    window.addEventListener('click', tell, { signal, capture: true })
    window.addEventListener('keydown', (event) => event.key === 'Enter' && this.tellUnsaved(), { signal, capture: true })
  }

  /** Bring a drawing back that was not stored, once its images are here again. */
  async restore(data) {
    const kept = unsaved.get(data.drawingKey)
    if (!kept || !data.editable || !data.canDraw) return
    await this.beginDrawing()
    const drawn = unpacked(kept.drawn)
    if (drawn.length !== this.nv.drawBitmap.length) return
    this.paintOver(drawn)
    this.drawnOn.over = kept.over
    this.host.dataset.restored = data.drawingKey
    const changed = changedUnder(kept, data)
    this.panel.say(`A drawing of yours was not stored. It is here again${changed || ': press Save.'}`, true)
  }

  /** Put a drawing over the one on screen, which is one undo away. */
  paintOver(drawn) {
    this.nv.drawBitmap.set(drawn)
    this.nv.drawAddUndoBitmap()
    this.nv.refreshDrawing(true)
  }

  /** The drawing on screen is the reader's mask as the page knows it: undone, imported or saved elsewhere it is fetched anew. */
  async followDraft(data) {
    if (!this.scene.drawing) return this.restore(data)
    if (this.saving || data.at < this.savedAt) return undefined // the page answers once more after a save
    if (!data.canDraw) {
      if (this.hasUnsaved()) this.panel.say('You signed this meanwhile. What you drew since comes back here once you change it.', true)
      this.keepUnsaved()
      this.putPenDown()
    } else if (data.drawnFrom !== this.drawnOn.drawnFrom) {
      await this.fetchDrawing()
    }
    return undefined
  }

  async fetchDrawing() {
    const key = this.key
    try {
      const painted = await this.beginDrawing()
      if (painted) this.keepUnderneath(painted)
    } catch (error) {
      if (this.key === key) this.panel.say(`Your mask could not be fetched: ${error.message}.`, true)
    }
  }

  /** Strokes that were not saved when the mask changed elsewhere: the mask stands, they are one undo away. */
  keepUnderneath(painted) {
    const fetched = this.nv.drawBitmap.slice()
    this.paintOver(painted)
    this.paintOver(fetched)
    this.panel.say('Your mask was changed: undone, imported or saved elsewhere. Undo stroke brings back what was not saved.', true)
  }

  /** No drawing on screen, no pen. */
  putPenDown() {
    this.nv.closeDrawing()
    this.scene.drawing = false
    this.tool('look')
  }

  /** The outlines alone, after a mask was stored: images, place and window stay. */
  async loadLayers(data) {
    this.layersKey = data.layersKey
    const key = this.key
    try {
      const bits = await ras(await volume('layers', data.tokens.GET), 'layers.nii')
      if (this.key !== key) return
      this.scene.bits = bits
    } catch (error) {
      if (this.key !== key) return
      this.layersKey = ''
      this.panel.say(`The outlines could not be fetched: ${error.message}.`, true)
      return
    }
    this.scene.layers = data.layers.map((layer) => ({ ...layer, on: this.panel.isOn(layer) }))
    this.scene.cache.clear()
    this.showSurfaces()
    this.nv.drawScene()
    this.host.dataset.layers = data.layersKey
  }

  /** Where the crosshair is, RAS millimetres; nothing before there are images. */
  place() {
    return this.nv.volumes.length ? millimetres(this.nv) : null
  }

  /** Whether the images on screen reach a place. */
  holds(place) {
    return Array.from(fractions(this.nv, place)).slice(0, 3).every((share) => share >= 0 && share <= 1)
  }

  goTo(target) {
    if (!target) return
    this.nv.scene.crosshairPos = fractions(this.nv, target)
    this.nv.createOnLocationChange()
    this.nv.drawScene()
  }

  setWindow() {
    const image = this.nv.volumes[0]
    if (!image) return
    ;[image.cal_min, image.cal_max] = this.panel.windowOf()
    this.nv.updateGLVolume()
    this.earlier.setWindow(image.cal_min, image.cal_max)
  }

  /** Open or close the pane of the earlier CT. */
  showEarlier(on) {
    this.panel.pane.turn(on)
    if (on) this.earlier.show(this.data)
  }

  toggle(name, on) {
    for (const layer of this.scene.layers) if (layer.name === name) layer.on = on
    this.showSurfaces()
    this.nv.drawScene()
  }

  async showError(on) {
    if (on && !this.scene.error) await this.fetchError()
    this.scene.errorOn = on
    this.panel.legend(on ? ERROR_LEGEND : [])
    this.nv.drawScene()
  }

  /** Fetch how far the surfaces lie apart, and say so while the server measures it. */
  async fetchError() {
    const key = this.key
    this.panel.say('Measuring the surface error …')
    const error = await ras(await volume('error', this.tokens.GET), 'error.nii')
    if (this.key !== key) return
    this.scene.error = error
    this.panel.say('')
  }

  render3D(on) {
    this.rendered = on
    this.showSurfaces()
    this.nv.drawScene()
  }

  /** The surfaces of the outlines that are on, in 3D; none while it is off. */
  showSurfaces() {
    while (this.nv.meshes.length) this.nv.removeMesh(this.nv.meshes[0])
    if (!this.rendered || !this.scene.bits || !this.nv.volumes.length) return
    const solid = (layer) => SEE_THROUGH[layer.name] ?? 1
    const shown = this.scene.layers.map((layer, place) => [layer, place]).filter(([layer]) => layer.on && !layer.empty)
    for (const [layer, place] of shown.sort((one, other) => solid(one[0]) - solid(other[0]))) {
      const { points, triangles } = this.surfaceOf(place)
      if (triangles.length) this.nv.addMesh(new NVMesh(points, triangles, layer.name, rgba(layer.colour), solid(layer), true, this.nv.gl))
    }
  }

  /** The surface of one layer in millimetres, made once for these outlines. */
  surfaceOf(place) {
    const made = `surface-${place}`
    if (!this.scene.cache.has(made)) {
      const [bits, image] = [this.scene.bits, this.nv.volumes[0]]
      const found = surface((at) => bits[at] & (1 << place), image.dimsRAS.slice(1, 4))
      this.scene.cache.set(made, { points: inMillimetres(found.points, image), triangles: new Uint32Array(found.triangles) })
    }
    return this.scene.cache.get(made)
  }

  showSlab(on) {
    const image = this.nv.volumes[0]
    if (!this.slab) this.slab = { plain: image.img, thick: slabMaximum(image, 10) }
    image.img = on ? this.slab.thick : this.slab.plain
    this.nv.updateGLVolume()
    this.nv.createOnLocationChange()
  }

  tool(name) {
    this.setDrawing(name === 'draw' || name === 'erase' ? name : '')
    const drag = name === 'measure' ? DRAG_MODE.measurement : name === 'disk' ? DRAG_MODE.callbackOnly : DRAG_MODE.crosshair
    this.nv.opts.dragModePrimary = drag
    this.panel.chosen(name)
  }

  measured(at) {
    if (this.panel.current !== 'disk' || !at.voxStart) return
    const image = this.nv.volumes[0]
    const [shown, of] = [image.img, this.slabOn() ? ' of this slice, not of the slab' : '']
    if (this.slab) image.img = this.slab.plain // HU are those of the slice, also under a slab
    this.panel.say(diskStatistics(image, at) + of)
    image.img = shown
  }

  slabOn() {
    return Boolean(this.slab) && this.nv.volumes[0]?.img === this.slab.thick
  }

  /** Say the axes that the caliper measured; the lines of earlier ones go. */
  measuredAxes() {
    const kept = latestAxes(this.nv.document.completedMeasurements)
    this.nv.document.completedMeasurements = kept
    this.panel.say(caliperText(kept))
  }

  async setDrawing(kind) {
    this.host.dataset.pen = ''
    if (!kind) {
      this.nv.setDrawingEnabled(false)
      return
    }
    if (!this.data.editable) {
      const parts = this.data.extents.includes('close') ? 'Close-up or Whole series' : 'Whole series'
      this.panel.say(`Drawing needs the scan’s own voxels: choose ${parts} first.`, true)
      return
    }
    if (!this.scene.drawing) await this.beginDrawing()
    this.nv.setDrawingEnabled(true)
    this.nv.setPenValue(kind === 'erase' ? 0 : 1, true)
    this.host.dataset.pen = kind
  }

  /** Say how large the mask is now, after a stroke of the pen or the eraser. */
  sayVolume() {
    if (!this.host.dataset.pen || !this.scene.drawing) return
    let voxels = 0
    for (const value of this.nv.drawBitmap) if (value) voxels++
    const millilitres = (voxels * this.nv.volumes[0].pixDimsRAS.slice(1, 4).reduce((a, b) => a * b)) / 1000
    this.panel.say(`Your mask now: ${millilitres.toFixed(1)} ml, ${voxels} voxels; not stored yet.`)
  }

  /** Put the reader's mask under the pen; resolves with what was painted before and not saved. One at a time. */
  beginDrawing() {
    this.beginning ??= this.fetchMask().finally(() => (this.beginning = null))
    return this.beginning
  }

  async fetchMask() {
    const { key, data } = this
    const mask = await NVImage.loadFromUrl({ url: 'drawing.nii', name: 'drawing.nii', buffer: await volume('drawing', this.tokens.GET) })
    if (this.key !== key) throw new Error('another case was opened meanwhile')
    const painted = this.hasUnsaved() ? this.nv.drawBitmap.slice() : null
    this.nv.loadDrawing(mask)
    this.nv.setDrawColormap({ R: [0, 255], G: [0, 255], B: [0, 255], A: [0, 255], labels: ['', 'yours'] })
    this.scene.drawing = true
    this.stored = this.nv.drawBitmap.slice()
    this.drawnOn = { drawingKey: data.drawingKey, owner: data.owner, images: data.images, drawnFrom: data.drawnFrom, over: data.automatic }
    this.nv.drawScene()
    return painted
  }

  undo() {
    this.nv.drawUndo()
    if (this.scene.drawing && !this.hasUnsaved()) this.drawnOn.over = this.data.automatic
    this.sayVolume()
  }

  fill() {
    if (!this.scene.drawing) return
    const added = fillBetween(this.nv.drawBitmap, this.nv.volumes[0].dimsRAS.slice(1, 4))
    this.nv.drawAddUndoBitmap()
    this.nv.refreshDrawing(true)
    this.panel.say(`${added} voxels filled between drawn slices.`)
  }

  async save() {
    if (!this.scene.drawing) {
      this.panel.say('Nothing is drawn.', true)
      return
    }
    if (this.saving) {
      this.panel.say('The save before is still on its way: press Save again once it is through.', true)
      return
    }
    this.panel.say('Saving …')
    // whose drawing it is and what is sent, before anything is waited for: another case may be opened meanwhile
    const [key, token, sent] = [this.key, this.tokens.PUT, this.nv.drawBitmap.slice()]
    const drawnOn = this.drawnOn
    const of = drawnOn.drawingKey
    this.saving = true
    try {
      const bytes = await this.nv.volumes[0].saveToUint8Array('drawing.nii.gz', sent)
      const stored = await save(bytes, token, drawnOn)
      if (this.key !== key) {
        if (unsaved.has(of) && same(unsaved.get(of).drawn, packed(sent))) unsaved.delete(of)
        return
      }
      this.stored = sent
      drawnOn.drawnFrom = stored.drawn_key
      drawnOn.over = this.data.automatic
      this.savedAt = stored.at
      unsaved.delete(of)
      this.panel.say(`Stored as version ${stored.version}: ${stored.voxels} voxels.`)
      this.host.dataset.saved = stored.version
      this.component.setTriggerValue('saved', stored.version)
    } catch (error) {
      if (this.key !== key) return // the drawing is kept with its own case and offered there again
      this.panel.say(`NOT stored: ${error.message}. Your drawing is still here; press Save again.`, true)
      if (error instanceof Refused) this.component.setTriggerValue('renew', Date.now())
    } finally {
      this.saving = false
    }
  }

  /** Show another part of the scan: at once where it is one key away; the page then says the same. */
  async extent(name) {
    this.component.setStateValue('extent', name)
    const { beside } = this.data
    if (beside?.extent === name) await this.show(this.component, { ...this.data, ...beside, beside: null })
  }

  pressed(event) {
    const typing = event.composedPath().some((e) => ['INPUT', 'TEXTAREA', 'SELECT'].includes(e.tagName) || e.isContentEditable)
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return
    this.panel.key(event.key.toLowerCase())
  }

  async stir() {
    const now = Date.now()
    if (now - this.lastAlive < ALIVE_EVERY_MS || !this.tokens) return
    this.lastAlive = now
    const asked = this.tokens
    try {
      const fresh = await alive(asked.POST)
      if (this.tokens === asked) this.tokens = { ...asked, ...fresh } // else the page gave those of other images meanwhile
    } catch (error) {
      if (error instanceof Refused && this.component) this.component.setTriggerValue('renew', now)
    }
  }

  close() {
    this.keepUnsaved()
    mounted.delete(this)
    this.listening.abort()
    this.nv.cleanup?.()
    this.earlier.close()
    this.host.replaceChildren()
  }
}

/** How what lies under a drawing changed since that was kept, and what is one undo away; empty where it is the same. */
function changedUnder(kept, data) {
  const automatic = kept.over === data.automatic ? '' : '. The automatic mask changed meanwhile'
  if (automatic && !data.drawnFrom) return `${automatic}: Undo stroke shows it, Save replaces it.`
  const yours = kept.drawnFrom === data.drawnFrom ? '' : '. Your mask was changed meanwhile: Undo stroke shows it, Save replaces it.'
  return (automatic && `${automatic}, this was drawn over the one before${yours ? '' : '.'}`) + yours
}

/** A colour written #RRGGBB as NiiVue wants it. */
function rgba(colour) {
  return new Uint8Array([...[1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)), 255])
}

function same(one, other) {
  if (one.length !== other.length) return false
  for (let place = 0; place < one.length; place++) if (one[place] !== other[place]) return false
  return true
}

/** The voxels of a NIfTI file in RAS order. */
async function ras(buffer, name) {
  const image = await NVImage.loadFromUrl({ url: name, name, buffer })
  return image.img2RAS()
}
