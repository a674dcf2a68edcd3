// How the planes lie: axial large on the left, coronal and sagittal beside it, 3D below them on request; and how large a
// voxel is on the screen: a whole number of pixels wherever the scan's own voxels are shown.

import { SLICE_TYPE } from '@niivue/niivue'

const MOST_FOR_AXIAL = 0.66
const LEAST_FOR_AXIAL = 0.4
const LEAST_SEEN = 0.75 // of a slice's width: what is larger is shown whole, not voxel by voxel

/** Lay the planes out for the images on a canvas; `solid`: 3D has a place too. */
export function layPlanes(nv, canvas, solid) {
  const [width, height] = axialMillimetres(nv)
  const needed = (canvas.height * width) / height / canvas.width
  const axial = Math.min(MOST_FOR_AXIAL, Math.max(LEAST_FOR_AXIAL, needed))
  const beside = [SLICE_TYPE.CORONAL, SLICE_TYPE.SAGITTAL, ...(solid ? [SLICE_TYPE.RENDER] : [])]
  const share = 1 / beside.length
  nv.customLayout = [
    { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, axial, 1] },
    ...beside.map((sliceType, place) => ({ sliceType, position: [axial, place * share, 1 - axial, share] })),
  ]
}

/** Show each voxel across as the nearest whole number of screen pixels, with a place (shares) in view; blocks fill the
 * canvas. */
export function wholePixels(nv, canvas, place, own) {
  const fits = fittingPixels(nv, canvas)
  const pixels = own && fits >= LEAST_SEEN ? Math.max(1, Math.round(fits)) : fits
  const zoom = pixels / fits
  const [middle, wanted] = [frame(nv, [0.5, 0.5, 0.5]), frame(nv, place)]
  const [low, high] = [frame(nv, [0, 0, 0]), frame(nv, [1, 1, 1])]
  const pan = middle.map((centre, axis) => {
    const hidden = Math.max(0, 1 - 1 / zoom) / 2
    const spare = Math.abs(high[axis] - low[axis]) * hidden
    const seen = Math.min(centre + spare, Math.max(centre - spare, wanted[axis]))
    return centre - zoom * seen
  })
  nv.scene.pan2Dxyzmm = [...pan, zoom]
}

/** Screen pixels that one voxel across takes in the axial plane as it is shown now. */
export function pixelsOfVoxel(nv, canvas) {
  return fittingPixels(nv, canvas) * nv.scene.pan2Dxyzmm[3]
}

/** Screen pixels of one voxel across where the axial plane just fits its place. */
function fittingPixels(nv, canvas) {
  const [width, height] = axialMillimetres(nv)
  const [, , share, tall] = nv.customLayout[0].position
  const tile = Math.min(canvas.width * share, (canvas.height * tall * width) / height)
  return tile / nv.volumes[0].dimsRAS[1]
}

/** Width and height of an axial slice. */
function axialMillimetres(nv) {
  const { dimsRAS, pixDimsRAS } = nv.volumes[0]
  return [1, 2].map((axis) => dimsRAS[axis] * pixDimsRAS[axis])
}

/** A place (shares) in the frame that NiiVue draws slices in. */
function frame(nv, place) {
  return Array.from(nv.frac2mm(place)).slice(0, 3)
}
