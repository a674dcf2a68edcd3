// Outlines drawn on a canvas over NiiVue's: the borders of voxels, exact, in one colour a layer.
// Slices and masks are in RAS order (x to the patient's left hand side of the array, y to the front, z to the head).

const AXES = [
  [0, 1, 2], // axial: across x, up y, through z
  [0, 2, 1], // coronal
  [1, 2, 0], // sagittal
]
const DASHED = { doubt: 2 } // canvas pixels of a dash; an outline that is no decision is not drawn as one
const ERROR_STEPS = [
  [1, '#2166AC'],
  [2, '#67A9CF'],
  [3, '#F7F7F7'],
  [5, '#EF8A62'],
  [Infinity, '#B2182B'],
]

export const ERROR_LEGEND = ERROR_STEPS.map(([upTo, colour], place) => ({
  colour,
  text: upTo === Infinity ? `> ${ERROR_STEPS[place - 1][0]} mm` : `≤ ${upTo} mm`,
}))

/** Canvas pixels of voxel borders along the two axes of a tile: index -> pixel, from two points inside the tile. */
function scaleOf(nv, tile, dims) {
  const [across, up] = AXES[nv.screenSlices[tile].axCorSag]
  const box = nv.screenSlices[tile].leftTopWidthHeight.slice()
  if (box[2] < 0) {
    box[0] += box[2]
    box[2] = -box[2]
  }
  const at = (share) => [box[0] + share * box[2], box[1] + share * box[3]]
  const [one, two] = [at(0.25), at(0.75)]
  const first = nv.screenXY2TextureFrac(one[0], one[1], tile, false)
  const second = nv.screenXY2TextureFrac(two[0], two[1], tile, false)
  const linear = (axis, from, to) => {
    const slope = (to - from) / ((second[axis] - first[axis]) * dims[axis])
    return (index) => from + (index - first[axis] * dims[axis]) * slope
  }
  return { box, x: linear(across, one[0], two[0]), y: linear(up, one[1], two[1]) }
}

/** Borders of one layer in one slice as [i0, j0, i1, j1, value] along the tile's axes. */
function borders(inside, value, dims, plane, slice) {
  const [across, up, through] = AXES[plane]
  const step = [1, dims[0], dims[0] * dims[1]]
  const base = slice * step[through]
  const [nx, ny] = [dims[across], dims[up]]
  const found = []
  for (let j = 0; j < ny; j++) {
    for (let i = 0; i < nx; i++) {
      const at = base + i * step[across] + j * step[up]
      if (!inside(at)) continue
      const v = value ? value(at) : 0
      if (i === 0 || !inside(at - step[across])) found.push([i, j, i, j + 1, v])
      if (i === nx - 1 || !inside(at + step[across])) found.push([i + 1, j, i + 1, j + 1, v])
      if (j === 0 || !inside(at - step[up])) found.push([i, j, i + 1, j, v])
      if (j === ny - 1 || !inside(at + step[up])) found.push([i, j + 1, i + 1, j + 1, v])
    }
  }
  return found
}

/** Draw every layer that is on over every plane; error: bytes of tenths of a millimetre for the automatic outline. */
export function paint(nv, overlay, scene) {
  const context = overlay.getContext('2d')
  overlay.width = nv.canvas.width
  overlay.height = nv.canvas.height
  context.clearRect(0, 0, overlay.width, overlay.height)
  if (!scene.bits || !nv.volumes.length) return
  const dims = nv.volumes[0].dimsRAS.slice(1, 4)
  nv.screenSlices.forEach((tile, number) => {
    const plane = tile.axCorSag
    if (plane > 2) return
    const scale = scaleOf(nv, number, dims)
    const through = AXES[plane][2]
    const slice = Math.min(dims[through] - 1, Math.max(0, Math.floor(nv.scene.crosshairPos[through] * dims[through])))
    context.save()
    context.beginPath()
    context.rect(...scale.box)
    context.clip()
    scene.layers.forEach((layer, place) => {
      if (!layer.on || (layer.name === 'yours' && scene.drawing)) return
      const bit = 1 << place
      const coloured = layer.name === 'automatic' && scene.errorOn && scene.error
      const lines = cached(scene, `${layer.name}-${plane}-${slice}-${coloured}`, () =>
        borders((at) => scene.bits[at] & bit, coloured ? (at) => scene.error[at] / 10 : null, dims, plane, slice)
      )
      if (coloured) ERROR_STEPS.forEach(([, colour], band) => stroke(context, scale, lines.filter((l) => bandOf(l[4]) === band), colour, 2.5))
      else stroke(context, scale, lines, layer.colour, layer.name === 'lungs' ? 1 : 1.8, DASHED[layer.name])
    })
    context.restore()
  })
}

function bandOf(millimetres) {
  return ERROR_STEPS.findIndex(([upTo]) => millimetres <= upTo)
}

function cached(scene, key, make) {
  if (!scene.cache.has(key)) {
    if (scene.cache.size > 400) scene.cache.clear()
    scene.cache.set(key, make())
  }
  return scene.cache.get(key)
}

function stroke(context, scale, lines, colour, width, dash = 0) {
  context.strokeStyle = colour
  context.lineWidth = width
  context.setLineDash(dash ? [dash, dash] : [])
  context.beginPath()
  for (const [i0, j0, i1, j1] of lines) {
    context.moveTo(scale.x(i0), scale.y(j0))
    context.lineTo(scale.x(i1), scale.y(j1))
  }
  context.stroke()
}
