// Measuring: long and short axis, mean and spread of HU in a disk, and the maximum over a slab along z.

const SHORTEST_LINE_MM = 0.5

/** The lines that stay: a second one is the other axis of the first, a third one begins anew; a click is no line. */
export function latestAxes(lines) {
  const drawn = lines.filter((line) => line.distance >= SHORTEST_LINE_MM)
  return drawn.length > 2 ? drawn.slice(-1) : drawn
}

/** The lengths of one or two lines in words, millimetres. */
export function caliperText(lines) {
  const [long, short] = lines.map((line) => line.distance).sort((one, other) => other - one)
  if (long === undefined) return ''
  return short === undefined ? `Caliper: ${long.toFixed(1)} mm` : `Long axis ${long.toFixed(1)} mm, short axis ${short.toFixed(1)} mm`
}

/** Mean and standard deviation of HU in a disk: centre where the drag began, radius to where it ended. */
export function diskStatistics(image, drag) {
  const dims = image.dimsRAS.slice(1, 4)
  const size = image.pixDimsRAS.slice(1, 4)
  const [centre, rim] = [drag.voxStart, drag.voxEnd]
  const through = [2, 1, 0][drag.axCorSag]
  const axes = [0, 1, 2].filter((axis) => axis !== through)
  const radius = Math.hypot(...axes.map((a) => (rim[a] - centre[a]) * size[a]))
  const values = []
  const reach = axes.map((a) => Math.ceil(radius / size[a]))
  for (let i = -reach[0]; i <= reach[0]; i++) {
    for (let j = -reach[1]; j <= reach[1]; j++) {
      if (Math.hypot(i * size[axes[0]], j * size[axes[1]]) > radius) continue
      const at = centre.slice(0, 3)
      at[axes[0]] += i
      at[axes[1]] += j
      if (at.every((v, a) => v >= 0 && v < dims[a])) values.push(image.getValue(...at))
    }
  }
  if (!values.length) return 'The disk is empty.'
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  const sd = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, values.length - 1))
  return `Disk of ${(2 * radius).toFixed(1)} mm: ${mean.toFixed(0)} ± ${sd.toFixed(0)} HU (${values.length} voxels)`
}

/** The maximum over a slab along the patient's z, in the image's own order: the odd number of slices, at least three,
 * that comes nearest to so many millimetres. */
export function slabMaximum(image, millimetres) {
  const step = image.img2RASstep[2]
  const count = image.dimsRAS[3]
  const half = Math.max(1, Math.round((millimetres / image.pixDimsRAS[3] - 1) / 2))
  const source = image.img
  const found = source.slice()
  const start = image.img2RASstart
  const [nx, ny] = [image.dimsRAS[1], image.dimsRAS[2]]
  for (let y = 0; y < ny; y++) {
    for (let x = 0; x < nx; x++) {
      const column = start[0] + start[1] + start[2] + x * image.img2RASstep[0] + y * image.img2RASstep[1]
      for (let z = 0; z < count; z++) {
        let most = -Infinity
        for (let k = Math.max(0, z - half); k <= Math.min(count - 1, z + half); k++) most = Math.max(most, source[column + k * step])
        found[column + z * step] = most
      }
    }
  }
  return found
}
