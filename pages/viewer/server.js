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
  if (answer.status === 409) throw new Refused('the permission was for other images')
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}))
    throw new Error(said.error || `the server answered ${answer.status}`)
  }
  return answer
}

/** One volume as the bytes of an unpacked NIfTI file. */
export async function volume(name, token) {
  const answer = await ask(`volumes/${name}`, 'GET', token)
  const plain = answer.body.pipeThrough(new DecompressionStream('gzip'))
  return new Response(plain).arrayBuffer()
}

/** Send a drawing and what it was drawn on; resolves with what was stored only when it was. */
export async function save(bytes, token, images) {
  return (await ask('volumes/drawing', 'PUT', token, bytes, { 'X-Drawn-On': images })).json()
}

/** Tell that the reader is at work; resolves with fresh tokens. */
export async function alive(token) {
  return (await ask('volumes/alive', 'POST', token)).json()
}
