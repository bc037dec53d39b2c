/** Pixels of films, as the server has read them, at their own depth. */

import { ask } from './server.js';

const KEPT = 3; // films in memory: this one, the next, and the one before

/** An image at its own depth, and smaller ones of it that are drawn where a px of the screen covers several. */
export class Film {
  constructor(width, height, channels, data, black, white) {
    Object.assign(this, { width, height, channels, black, white });
    this.levels = [{ width, height, data }];
  }

  get depth() { return this.levels[0].data.BYTES_PER_ELEMENT * 8; }

  /** The film at a half, a quarter and so on of its size, at level 1, 2 and so on. */
  level(k) {
    while (this.levels.length <= k) {
      const last = this.levels.at(-1);
      if (last.width === 1 && last.height === 1) break;
      this.levels.push(halved(last, this.channels));
    }
    return this.levels[Math.min(k, this.levels.length - 1)];
  }

  /** The darkest and the brightest value. */
  range() {
    let low = Infinity, high = -Infinity;
    for (const value of this.levels[0].data) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }
}

/** The mean of every four pixels; of two at an odd edge. */
function halved({ width, height, data }, channels) {
  const w = Math.ceil(width / 2), h = Math.ceil(height / 2), half = new data.constructor(w * h * channels);
  for (let y = 0, at = 0; y < h; y++) {
    const upper = 2 * y * width, lower = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < w; x++) {
      const left = 2 * x, right = Math.min(left + 1, width - 1);
      for (let c = 0; c < channels; c++) {
        half[at++] = (data[(upper + left) * channels + c] + data[(upper + right) * channels + c]
          + data[(lower + left) * channels + c] + data[(lower + right) * channels + c] + 2) >> 2;
      }
    }
  }
  return { width: w, height: h, data: half };
}

/** The films of a desk by number, of which the last few stay in memory. */
export class Films {
  kept = new Map();

  constructor(films) { this.films = films; }

  /** The film of a number. Rejects with the words of the server where it cannot be read. */
  get(number) {
    const film = this.kept.get(number) ?? load(number, this.films);
    this.kept.delete(number);
    this.kept.set(number, film); // the last again
    film.catch(() => this.kept.delete(number)); // asked for again, it may have been mended
    for (const old of [...this.kept.keys()].slice(0, -KEPT)) this.kept.delete(old);
    return film;
  }
}

async function load(number, films) {
  const response = await ask(`/api/images/${number}/pixels?films=${films}`);
  const [width, height, black, white] = ['Width', 'Height', 'Black', 'White'].map(
    (name) => Number(response.headers.get(`X-${name}`)));
  if (response.headers.get('Content-Type') !== 'image/png') {
    return new Film(width, height, 1, new Uint16Array(await response.arrayBuffer()), black, white);
  }
  const isGrey = response.headers.get('X-Channels') === '1';
  const data = await decoded(await response.blob(), width, height);
  if (!isGrey) return new Film(width, height, 4, data, black, white);
  const grey = new Uint8Array(width * height);
  for (let k = 0; k < grey.length; k++) grey[k] = data[4 * k];
  return new Film(width, height, 1, grey, black, white);
}

/** The values of a PNG, four a pixel, as they are stored. */
async function decoded(blob, width, height) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height).data;
}
