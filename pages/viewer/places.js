// Places in millimetres of the patient (RAS), also where the images lie obliquely: NiiVue's own default is another frame.

/** Where the crosshair is. */
export function millimetres(nv) {
  return Array.from(nv.frac2mm(nv.scene.crosshairPos, 0, true)).slice(0, 3)
}

/** A place as shares of the volume, for the crosshair. */
export function fractions(nv, mm) {
  return nv.mm2frac(mm, 0, true)
}
