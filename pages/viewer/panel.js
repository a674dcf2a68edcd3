// The buttons around the images, and the one line that says where the crosshair is.

const WINDOWS = { Lung: [-1350, 150], Mediastinum: [-160, 240], Bone: [-500, 1300] }
const EXTENTS = { close: 'Close-up', preview: 'Chest', whole: 'Whole series' }
const WHOLE_NUMBER = 0.02 // how near a count of screen pixels lies to a whole number that is called one
const TOOLS = { look: 'Scroll', draw: 'Draw', erase: 'Erase', measure: 'Caliper', disk: 'HU disk' }
const KEYS = { d: 'draw', e: 'erase', v: 'look', c: 'measure' }

/** Build the panel inside an element; `act` is the viewer that its buttons command. */
export function panel(host, act) {
  return new Panel(host, act)
}

class Panel {
  constructor(host, act) {
    this.act = act
    this.window = 'Lung'
    this.current = 'look'
    this.off = {}
    this.switches = {}
    this.extents = element('span', 'group')
    this.layers = element('span', 'group')
    this.windows = element('span', 'group')
    this.tools = element('span', 'group')
    this.edits = element('span', 'group')
    this.bands = element('span', 'bands')
    this.message = element('div', 'message')
    this.message.setAttribute('role', 'status')
    this.where = element('span', 'where')
    this.part = element('span', 'part')
    this.canvas = element('canvas', 'images')
    this.overlay = element('canvas', 'outlines')
    const stage = (this.stage = element('div', 'stage'))
    stage.append(this.canvas, this.overlay)
    this.pane = new Pane()
    const stages = element('div', 'stages')
    stages.append(stage, this.pane.element)
    const bar = element('div', 'bar')
    bar.append(this.windows, this.extents, this.tools, this.edits, this.layers, this.bands)
    const below = element('div', 'below')
    below.append(this.where, this.part)
    host.replaceChildren(bar, stages, below, this.message)
    this.buttons(this.windows, Object.fromEntries(Object.keys(WINDOWS).map((n) => [n, n])), (n) => this.setWindow(n))
    this.mark(this.windows, this.window)
  }

  configure(data) {
    this.data = data
    this.buttons(this.extents, Object.fromEntries(data.extents.map((name) => [name, EXTENTS[name]])), (name) => act(this, () => this.act.extent(name)))
    this.mark(this.extents, data.extent)
    const tools = data.canDraw ? TOOLS : { look: TOOLS.look, measure: TOOLS.measure, disk: TOOLS.disk }
    this.buttons(this.tools, tools, (name) => this.act.tool(name))
    this.mark(this.tools, this.current)
    this.edits.replaceChildren()
    if (data.canDraw) {
      this.edits.append(
        button('Fill between', 'fill', () => this.act.fill()),
        button('Undo stroke', 'undo', () => this.act.undo()),
        button('Save mask', 'save', () => act(this, () => this.act.save()))
      )
    }
    this.edits.append(
      switchButton('3D', '3d', this.switches, (on) => this.act.render3D(on)),
      switchButton('Slab 10 mm', 'slab', this.switches, (on) => this.act.showSlab(on))
    )
    if (data.prior) {
      this.switches.prior ??= true
      this.edits.append(switchButton('Earlier CT', 'prior', this.switches, (on) => this.act.showEarlier(on)))
    }
    this.pane.turn(Boolean(data.prior && this.switches.prior))
    this.layers.replaceChildren()
    data.layers.forEach((layer) => this.layers.append(this.layerBox(layer)))
    if (data.hasError) this.edits.append(switchButton('Surface error', 'error', this.switches, (on) => act(this, () => this.act.showError(on))))
  }

  layerBox(layer) {
    const label = element('label', 'layer')
    const box = element('input', '')
    box.type = 'checkbox'
    box.name = layer.name
    box.checked = this.isOn(layer)
    box.disabled = layer.empty
    box.addEventListener('change', () => {
      this.off[layer.name] = !box.checked
      this.act.toggle(layer.name, box.checked)
    })
    const swatch = element('span', 'swatch')
    swatch.style.background = layer.colour
    label.append(box, swatch, layer.empty ? `${layer.title} (none)` : `${layer.title} ${layer.volume}`.trim())
    return label
  }

  isOn(layer) {
    return layer.name in this.off ? !this.off[layer.name] : layer.shown
  }

  windowOf() {
    return WINDOWS[this.window]
  }

  setWindow(name) {
    this.window = name
    this.mark(this.windows, name)
    this.act.setWindow()
  }

  /** New images: no slab and no error colours yet; the 3D view stays as it is. */
  fresh() {
    for (const name of ['slab', 'error']) {
      this.switches[name] = false
      this.edits.querySelector(`[data-name=${name}]`)?.setAttribute('aria-pressed', 'false')
    }
    this.legend([])
  }

  chosen(name) {
    this.current = name
    this.mark(this.tools, name)
  }

  legend(bands) {
    this.bands.replaceChildren(
      ...bands.map(({ colour, text }) => {
        const band = element('span', 'band')
        band.style.borderColor = colour
        band.textContent = text
        return band
      })
    )
  }

  /** One key: w window, o outlines, f close-up and chest, d draw, e erase, v scroll, c caliper, u undo. */
  key(name) {
    if (name === 'w') {
      const names = Object.keys(WINDOWS)
      this.setWindow(names[(names.indexOf(this.window) + 1) % names.length])
    } else if (name === 'o') {
      const boxes = [...this.layers.querySelectorAll('input:not(:disabled)')]
      const on = boxes.filter((box) => box.checked)
      const before = boxes.filter((box) => this.shownBefore?.includes(box.name))
      if (on.length) this.shownBefore = on.map((box) => box.name)
      const changed = on.length ? on : before.length ? before : boxes
      changed.forEach((box) => box.click())
    } else if (name === 'f' && this.data) this.act.extent(this.otherPart())
    else if (name === 'u' && this.data?.canDraw) this.act.undo()
    else if (KEYS[name] && (this.data?.canDraw || !['draw', 'erase'].includes(KEYS[name]))) this.act.tool(KEYS[name])
  }

  location(at, slab) {
    const hu = at.values?.[0]?.value
    const [x, y, z] = at.mm
    const value = hu === undefined ? '' : `${Math.round(hu)} HU${slab ? ' at most in the slab' : ''} · `
    this.where.textContent = `${value}voxel ${at.vox.slice(0, 3).map(Math.round).join(', ')} · ${[x, y, z].map((v) => v.toFixed(1)).join(', ')} mm (R A S)`
  }

  /** Say which part of the scan is shown, and how large: blocks are called a preview, own voxels by their screen pixels. */
  magnified(pixels, size) {
    const { editable, extent, stride } = this.data
    const whole = Math.abs(pixels - Math.round(pixels)) < WHOLE_NUMBER
    const count = whole ? String(Math.round(pixels)) : pixels.toFixed(1)
    const square = Math.abs(size[1] - size[2]) < 1e-4 ? `${count} × ${count} screen pixels` : `${count} screen pixels across`
    const shown = editable
      ? `${extent === 'close' ? 'close-up of the scan’s own voxels' : 'the scan’s own voxels'}, each ${count === '1' ? 'one screen pixel (1:1)' : square}`
      : `preview, each point the mean of ${stride.join(' × ')} voxels`
    this.part.textContent = ` · ${shown} · key f: ${EXTENTS[this.otherPart()].toLowerCase()}`
  }

  /** The part that the key f brings: the chest, and from it the scan's own voxels. */
  otherPart() {
    return this.data.extent === 'preview' ? this.data.extents.find((name) => name !== 'preview') : 'preview'
  }

  /** The wheel came to the last slice of what is shown. */
  ends() {
    this.say(this.data.extent === 'close' ? 'The close-up ends here; the key f shows the whole chest.' : 'The images end here.')
  }

  say(text, wrong = false) {
    this.message.textContent = text
    this.message.classList.toggle('wrong', wrong)
  }

  buttons(group, names, press) {
    group.replaceChildren(...Object.entries(names).map(([name, title]) => button(title, name, () => press(name))))
  }

  mark(group, name) {
    for (const one of group.children) one.setAttribute('aria-pressed', String(one.dataset.name === name))
  }
}

/** The place of an earlier CT beside the images: its title, whether it is linked, its slices, and what there is to say. */
class Pane {
  constructor() {
    this.isOn = false
    this.states = {}
    this.element = element('div', 'earlier')
    this.title = element('div', 'title')
    this.message = element('div', 'said')
    this.canvas = element('canvas', 'slices')
    this.canvas.setAttribute('aria-label', 'axial slices of the earlier CT')
    this.button = switchButton('Link', 'link', this.states, (on) => this.link(on))
    this.stage = element('div', 'pane')
    this.stage.append(this.canvas, this.message)
    const head = element('div', 'bar')
    head.append(this.title, this.button)
    this.element.append(head, this.stage)
    this.element.hidden = true
  }

  wanted(prior) {
    this.title.textContent = prior ? prior.title : ''
  }

  turn(on) {
    this.isOn = on
    this.element.hidden = !on
  }

  linked(on) {
    this.states.link = on
    this.button.setAttribute('aria-pressed', String(on))
  }

  say(text) {
    this.message.textContent = text
  }
}

/** Run an action that may fail, and say so where it did. */
async function act(panelOf, action) {
  try {
    await action()
  } catch (error) {
    panelOf.say(`That did not work: ${error.message}.`, true)
  }
}

function element(kind, name) {
  const made = document.createElement(kind)
  if (name) made.className = name
  return made
}

function button(title, name, press) {
  const made = element('button', '')
  made.type = 'button'
  made.dataset.name = name
  made.textContent = title
  made.addEventListener('click', press)
  return made
}

/** A button that stays pressed; `states` remembers it while the page runs again. */
function switchButton(title, name, states, turn) {
  const made = button(title, name, () => {
    states[name] = !states[name]
    made.setAttribute('aria-pressed', String(states[name]))
    turn(states[name])
  })
  made.setAttribute('aria-pressed', String(Boolean(states[name])))
  return made
}
