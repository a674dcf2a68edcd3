// Fill between slices: shape-based interpolation of axial slices that were drawn on (Raya and Udupa,
// IEEE Trans Med Imaging 1990;9:32). The signed distance to each slice's border is interpolated linearly.

/** Fill empty axial slices between drawn ones, in place; returns how many voxels were added. */
export function fillBetween(bitmap, dims) {
  const [nx, ny, nz] = dims
  const size = nx * ny
  const drawn = []
  for (let z = 0; z < nz; z++) {
    if (bitmap.subarray(z * size, (z + 1) * size).some((v) => v)) drawn.push(z)
  }
  let added = 0
  for (let k = 0; k + 1 < drawn.length; k++) {
    const [low, high] = [drawn[k], drawn[k + 1]]
    if (high - low < 2) continue
    const box = boxOf(bitmap, [low, high], nx, ny)
    const below = signedDistance(bitmap, low * size, nx, box)
    const above = signedDistance(bitmap, high * size, nx, box)
    for (let z = low + 1; z < high; z++) {
      const share = (z - low) / (high - low)
      below.forEach((d, n) => {
        if ((1 - share) * d + share * above[n] >= 0) return
        const x = box.x0 + (n % box.w)
        const y = box.y0 + Math.floor(n / box.w)
        bitmap[z * size + y * nx + x] = 1
        added++
      })
    }
  }
  return added
}

function boxOf(bitmap, slices, nx, ny) {
  let [x0, y0, x1, y1] = [nx, ny, -1, -1]
  for (const z of slices) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++) {
        if (!bitmap[z * nx * ny + y * nx + x]) continue
        x0 = Math.min(x0, x)
        x1 = Math.max(x1, x)
        y0 = Math.min(y0, y)
        y1 = Math.max(y1, y)
      }
    }
  }
  x0 = Math.max(0, x0 - 1)
  y0 = Math.max(0, y0 - 1)
  x1 = Math.min(nx - 1, x1 + 1)
  y1 = Math.min(ny - 1, y1 + 1)
  return { x0, y0, w: x1 - x0 + 1, h: y1 - y0 + 1 }
}

/** Distance of every pixel of a box to the border of a slice's shape, negative inside, in pixels. */
function signedDistance(bitmap, offset, nx, box) {
  const inside = (x, y) =>
    x >= 0 && y >= 0 && x < box.w && y < box.h && bitmap[offset + (box.y0 + y) * nx + box.x0 + x] > 0
  const edge = []
  for (let y = 0; y < box.h; y++) {
    for (let x = 0; x < box.w; x++) {
      if (!inside(x, y)) continue
      if (!inside(x - 1, y) || !inside(x + 1, y) || !inside(x, y - 1) || !inside(x, y + 1)) edge.push([x, y])
    }
  }
  const found = new Float32Array(box.w * box.h)
  for (let y = 0; y < box.h; y++) {
    for (let x = 0; x < box.w; x++) {
      let least = Infinity
      for (const [ex, ey] of edge) least = Math.min(least, (ex - x) ** 2 + (ey - y) ** 2)
      found[y * box.w + x] = inside(x, y) ? -Math.sqrt(least) - 0.5 : Math.sqrt(least) - 0.5
    }
  }
  return found
}
