// Parts of one reading's scan that were fetched: the chest comes while the reader looks at the close-up, and is there when
// he asks for it. Nothing is kept of a reading that left the screen, nor the whole series, which is too large to.

import { volume } from './server.js'

const TOO_LARGE = 'whole'

export class Parts {
  constructor() {
    this.reading = ''
    this.fetched = new Map()
  }

  /** CT and outlines of the part that is to be shown, as bytes: those that are here or on their way, else fetched. */
  open(data) {
    if (data.reading !== this.reading) this.forget(data.reading)
    return data.extent === TOO_LARGE ? both(data.tokens.GET) : this.once(data.key, data.layersKey, data.tokens.GET)
  }

  /** Fetch the part that lies one key away; resolves with its key, with nothing where there is none. */
  async ahead(data) {
    if (!data.beside || data.reading !== this.reading) return ''
    await this.once(data.beside.key, data.layersKey, data.beside.tokens.GET)
    return data.beside.key
  }

  forget(reading = '') {
    this.reading = reading
    this.fetched.clear()
  }

  once(part, layersKey, token) {
    const name = `${part} ${layersKey}`
    if (!this.fetched.has(name)) {
      const asked = both(token)
      this.fetched.set(name, asked)
      asked.catch(() => this.fetched.get(name) === asked && this.fetched.delete(name))
    }
    return this.fetched.get(name)
  }
}

function both(token) {
  return Promise.all([volume('ct', token), volume('layers', token)])
}
