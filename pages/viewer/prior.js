// An earlier CT beside the images: its axial slices, scrolled with the others while the two are linked.

import { Niivue, NVImage, SLICE_TYPE, SHOW_RENDER, DRAG_MODE } from '@niivue/niivue'
import { fractions, millimetres } from './places.js'
import { volume } from './server.js'
import { scrollSlices } from './wheel.js'

/** The pane of the earlier CT; `main` is the viewer beside it. */
export class Earlier {
  constructor(pane, main) {
    this.pane = pane
    this.main = main
    this.key = ''
    this.shift = null
    this.closed = false
    this.links = new Map() // made by hand, by the images that they belong to
    pane.link = (on) => this.link(on)
  }

  /** Show the earlier CT of these images; hides the pane where there is none. */
  async show(data) {
    const key = data.prior ? data.key : ''
    if (key !== this.key) this.clear()
    this.pane.wanted(data.prior)
    if (key === this.key || !this.pane.isOn) return
    this.key = key
    if (!key) return
    this.pane.say('Fetching the earlier CT …')
    try {
      const buffer = await volume('prior', this.main.tokens.GET)
      const image = await NVImage.loadFromUrl({ url: 'prior.nii', name: 'prior.nii', buffer, trustCalMinMax: true, cal_min: -1350, cal_max: 150 })
      await (this.ready ??= this.attach())
      if (this.key === key && !this.closed) this.draw(image, data)
    } catch (error) {
      if (this.key !== key) return
      this.key = ''
      this.pane.say(`The earlier CT could not be fetched: ${error.message}.`)
    }
  }

  /** Nothing of other images stays on screen while new ones are fetched, or where they could not be. */
  clear() {
    this.key = ''
    this.shift = null
    this.pane.linked(false)
    this.pane.say('')
    delete this.main.host.dataset.prior
    if (!this.nv) return
    while (this.nv.volumes.length) this.nv.removeVolumeByIndex(0)
    this.nv.drawScene()
  }

  draw(image, data) {
    ;[image.cal_min, image.cal_max] = this.main.panel.windowOf()
    this.nv.addVolume(image)
    this.shift = this.links.get(data.prior.link) ?? data.prior.shift
    this.link_of = data.prior.link
    this.pane.linked(Boolean(this.shift))
    this.pane.say(this.shift ? '' : 'Not linked: scroll both to the same place, then press Link.')
    this.follow(this.main.place())
    this.main.host.dataset.prior = data.key
  }

  async attach() {
    this.nv = new Niivue({
      isRadiologicalConvention: true,
      sliceType: SLICE_TYPE.AXIAL,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      dragAndDropEnabled: false,
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.35, 0.7, 0.9, 0.6],
      crosshairWidth: 1.2,
      crosshairWidthUnit: 'mm',
      crosshairGap: 12,
      fontColor: [0.9, 0.9, 0.9, 1],
      dragMode: DRAG_MODE.pan,
      logLevel: 'error',
      clipPlaneHotKey: '',
      cycleClipPlaneHotKey: '',
      viewModeHotKey: '',
      isResizeCanvas: true,
    })
    const { canvas, stage } = this.pane
    await this.nv.attachToCanvas(canvas)
    if (this.closed) return this.nv.cleanup?.()
    scrollSlices(this.nv, canvas, stage, this.main.listening.signal)
    canvas.focus = () => HTMLElement.prototype.focus.call(canvas, { preventScroll: true })
    this.nv.onLocationChange = (at) => this.moved(at.mm)
  }

  /** Where the crosshair of the earlier CT is, RAS millimetres. */
  place() {
    return millimetres(this.nv)
  }

  /** The images went to a place: go to the same one here. */
  follow(mm) {
    if (!this.nv?.volumes.length || !this.shift || !mm || this.leading) return
    this.go(mm.map((value, axis) => value - this.shift[axis]))
  }

  go(mm) {
    this.following = true
    this.nv.scene.crosshairPos = fractions(this.nv, mm)
    this.nv.drawScene()
    this.following = false
    const inside = this.nv.scene.crosshairPos.every((share) => share >= 0 && share <= 1)
    this.pane.say(inside ? '' : 'The earlier CT does not reach here.')
  }

  /** Somebody scrolled here: the images go along. */
  moved(mm) {
    if (this.following || !this.shift) return
    this.leading = true
    this.main.goTo(Array.from(mm).slice(0, 3).map((value, axis) => value + this.shift[axis]))
    this.leading = false
  }

  /** Link the two as they lie now, or let each scroll alone. */
  link(on) {
    const here = this.nv?.volumes.length && this.main.place()
    this.shift = on && here ? this.place().map((value, axis) => here[axis] - value) : null
    if (this.shift) this.links.set(this.link_of, this.shift)
    this.pane.linked(Boolean(this.shift))
    if (here) this.pane.say('')
  }

  setWindow(low, high) {
    const image = this.nv?.volumes[0]
    if (!image) return
    ;[image.cal_min, image.cal_max] = [low, high]
    this.nv.updateGLVolume()
  }

  close() {
    this.closed = true
    this.nv?.cleanup?.()
  }
}
