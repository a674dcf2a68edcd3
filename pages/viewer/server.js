// Talking to the server: volumes in, a drawing out. The token travels in a header, no address names anything.

export class Refused extends Error {}

async function ask(path, method, token, body, more = {}) {
  const answer = await fetch(new URL(path, document.baseURI), {
    method,
    body,
    headers: { ...more, Authorization: `Bearer ${token}` },
    cache: 'no-store',
  })
  if (answer.status === 403) throw new Refused('the permission had expired')
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}))
    const why = said.error ? said.error.replace(/\.$/, '') : `the server answered ${answer.status}`
    throw answer.status === 409 ? new Refused(why) : new Error(why)
  }
  return answer
}

/** One volume as the bytes of an unpacked NIfTI file. */
export async function volume(name, token) {
  const answer = await ask(`volumes/${name}`, 'GET', token)
  const plain = answer.body.pipeThrough(new DecompressionStream('gzip'))
  return new Response(plain).arrayBuffer()
}

/** Send a drawing, on which images and from which mask it was drawn; resolves with what was stored only when it was. */
export async function save(bytes, token, { images, drawnFrom }) {
  const of = { 'X-Drawn-On': images, 'X-Drawn-From': drawnFrom }
  return (await ask('volumes/drawing', 'PUT', token, bytes, of)).json()
}

/** Tell that the reader is at work; resolves with fresh tokens. */
export async function alive(token) {
  return (await ask('volumes/alive', 'POST', token)).json()
}
