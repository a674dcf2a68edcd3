// A drawing packed small while its images are off the screen: as runs of equal voxels, for most of a scan is not drawn.

/** The runs of a drawing in its order: each as its value and how many voxels long it is. */
export function packed(drawing) {
  const runs = []
  let begun = 0
  for (let at = 1; at <= drawing.length; at++) {
    if (drawing[at] === drawing[begun]) continue
    runs.push(drawing[begun], at - begun)
    begun = at
  }
  return Uint32Array.from(runs)
}

/** The drawing of such runs, voxel for voxel. */
export function unpacked(runs) {
  let voxels = 0
  for (let at = 1; at < runs.length; at += 2) voxels += runs[at]
  const drawing = new Uint8Array(voxels)
  for (let at = 0, begun = 0; at < runs.length; at += 2) {
    const end = begun + runs[at + 1]
    drawing.fill(runs[at], begun, end)
    begun = end
  }
  return drawing
}
