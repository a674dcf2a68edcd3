// The wheel goes through slices: one a notch, in the plane under the mouse, towards the feet, the back, the left.
// With ctrl, and over the 3D view, NiiVue zooms.

const THROUGH = [2, 1, 0] // the axis through an axial, coronal, sagittal plane, of x y z
const NOTCH_PIXELS = 100
const PIXELS_A_SLICE = 40 // of a touch pad, which sends many small steps

/** Scroll a viewer's slices by the wheel over the element that holds its canvas; `ends`: there is no further slice. */
export function scrollSlices(nv, canvas, stage, signal, ends = () => {}) {
  let travelled = 0
  stage.addEventListener(
    'wheel',
    (event) => {
      const plane = event.ctrlKey || event.metaKey ? undefined : planeUnder(nv, canvas, event)
      if (plane === undefined) return
      event.preventDefault()
      event.stopPropagation()
      travelled += event.deltaY
      const notch = event.deltaMode !== 0 || Math.abs(event.deltaY) >= NOTCH_PIXELS
      const slices = notch ? Math.sign(event.deltaY) : Math.trunc(travelled / PIXELS_A_SLICE)
      if (!slices) return
      travelled = 0
      const step = [0, 0, 0]
      step[THROUGH[plane]] = -slices
      const before = nv.scene.crosshairPos[THROUGH[plane]]
      nv.moveCrosshairInVox(...step)
      if (nv.scene.crosshairPos[THROUGH[plane]] === before) ends()
    },
    { signal, capture: true, passive: false }
  )
}

/** 0 axial, 1 coronal, 2 sagittal: the plane under the mouse; nothing where there is none. */
function planeUnder(nv, canvas, event) {
  if (!nv.volumes.length) return undefined
  const box = canvas.getBoundingClientRect()
  const scale = nv.uiData.dpr || window.devicePixelRatio
  const tile = nv.tileIndex((event.clientX - box.left) * scale, (event.clientY - box.top) * scale)
  const plane = tile < 0 ? undefined : nv.screenSlices[tile].axCorSag
  return plane < THROUGH.length ? plane : undefined
}
