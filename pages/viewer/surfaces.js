// The surface of a mask as triangles: surface nets (Gibson 1998), one point a cell that the surface crosses, at the mean of
// its crossings. Voxels are in RAS order; a voxel's centre is at its whole index.

const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7].map((c) => [c & 1, (c >> 1) & 1, c >> 2])
const EDGES = CORNERS.flatMap((_, a) => [1, 2, 4].filter((bit) => !(a & bit)).map((bit) => [a, a | bit]))
const EVERY_CORNER = 255

/** Points (x, y, z one after the other) and triangles of the border of where `inside(place)` holds; both empty without
 * one. Triangles turn outward; a mask that reaches the edge of the images is closed there. */
export function surface(inside, dims) {
  const box = boxOf(inside, dims)
  const [points, triangles] = [[], []]
  if (!box) return { points, triangles }
  const { voxels, size, step } = padded(inside, dims, box)
  const corners = CORNERS.map((c) => c[0] + c[1] * step[1] + c[2] * step[2])
  const pointOf = new Int32Array(voxels.length)
  for (let k = 0; k < size[2] - 1; k++) {
    for (let j = 0; j < size[1] - 1; j++) {
      for (let i = 0; i < size[0] - 1; i++) {
        const cell = i + j * step[1] + k * step[2]
        let filled = 0
        for (let c = 0; c < 8; c++) filled |= voxels[cell + corners[c]] << c
        if (filled === 0 || filled === EVERY_CORNER) continue
        pointOf[cell] = points.length / 3
        const shift = middle(filled)
        points.push(box[0][0] - 1 + i + shift[0], box[1][0] - 1 + j + shift[1], box[2][0] - 1 + k + shift[2])
        faces(triangles, pointOf, cell, step, filled)
      }
    }
  }
  return { points, triangles }
}

/** A surface's points (indices) in the millimetres of an image. */
export function inMillimetres(points, image) {
  const place = (index) => image.vox2mm(index, image.matRAS)
  const origin = place([0, 0, 0])
  const axes = [place([1, 0, 0]), place([0, 1, 0]), place([0, 0, 1])].map((end) => [0, 1, 2].map((a) => end[a] - origin[a]))
  const moved = new Float32Array(points.length)
  for (let p = 0; p < points.length; p += 3) {
    for (let a = 0; a < 3; a++) moved[p + a] = origin[a] + points[p] * axes[0][a] + points[p + 1] * axes[1][a] + points[p + 2] * axes[2][a]
  }
  return moved
}

/** The mean of where the edges of a cell are crossed, from its first corner. */
function middle(filled) {
  const crossed = EDGES.filter(([a, b]) => ((filled >> a) & 1) !== ((filled >> b) & 1))
  return [0, 1, 2].map((axis) => crossed.reduce((sum, [a, b]) => sum + CORNERS[a][axis] + CORNERS[b][axis], 0) / (2 * crossed.length))
}

/** The quads about the cell's edges that begin at its first corner; the three cells before it have their points. */
function faces(triangles, pointOf, cell, step, filled) {
  for (let axis = 0; axis < 3; axis++) {
    if ((filled & 1) === ((filled >> (1 << axis)) & 1)) continue
    const [u, v] = [step[(axis + 1) % 3], step[(axis + 2) % 3]]
    const quad = [cell, cell - u, cell - u - v, cell - v].map((c) => pointOf[c])
    const [a, b, c, d] = filled & 1 ? quad : quad.reverse()
    triangles.push(a, b, c, a, c, d)
  }
}

/** The voxels of a box with one empty layer all around. */
function padded(inside, [nx, ny], box) {
  const size = box.map(([low, high]) => high - low + 3)
  const step = [1, size[0], size[0] * size[1]]
  const voxels = new Uint8Array(size[0] * size[1] * size[2])
  for (let z = box[2][0]; z <= box[2][1]; z++) {
    for (let y = box[1][0]; y <= box[1][1]; y++) {
      const row = (y - box[1][0] + 1) * step[1] + (z - box[2][0] + 1) * step[2] + 1 - box[0][0]
      for (let x = box[0][0]; x <= box[0][1]; x++) if (inside(x + nx * (y + ny * z))) voxels[row + x] = 1
    }
  }
  return { voxels, size, step }
}

/** First and last index with a filled voxel along each axis; null where there is none. */
function boxOf(inside, [nx, ny, nz]) {
  const [low, high] = [[nx, ny, nz], [-1, -1, -1]]
  for (let z = 0, place = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, place++) {
        if (!inside(place)) continue
        if (x < low[0]) low[0] = x
        if (x > high[0]) high[0] = x
        if (y < low[1]) low[1] = y
        if (y > high[1]) high[1] = y
        if (z < low[2]) low[2] = z
        high[2] = z
      }
    }
  }
  return high[2] < 0 ? null : low.map((first, axis) => [first, high[axis]])
}
