/** Drawing a film through its window: what is on the stage alone, so that it takes no longer for a large film. */

const SHARP = 2.5; // device px a pixel of the film, from which on pixels are drawn as squares

export class Painter {
  table = new Uint32Array(0); // what each value looks like, as ABGR
  tableOf = '';
  scratch = new OffscreenCanvas(1, 1);

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
  }

  /** Draw a film as a view shows it, by its look: black, white and isInverted. */
  draw(film, view, look) {
    const ratio = devicePixelRatio, { canvas, context } = this;
    const width = Math.round(view.stage.width * ratio), height = Math.round(view.stage.height * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!film) return;
    const level = Math.max(0, Math.floor(-Math.log2(view.scale * ratio)));
    const image = film.level(level), step = view.scale * 2 ** level;
    const part = visible(image, view, step);
    if (part.width <= 0 || part.height <= 0) return;
    this.fill(film, image, part, look);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.save();
    context.beginPath();
    context.rect(view.left, view.top, film.width * view.scale, film.height * view.scale);
    context.clip(); // the last pixel of a smaller image may go beyond
    context.imageSmoothingEnabled = step * ratio < SHARP;
    context.drawImage(this.scratch, 0, 0, part.width, part.height, view.left + part.x * step, view.top + part.y * step,
                      part.width * step, part.height * step);
    context.restore();
  }

  /** Put a part of an image, as it looks, on the scratch canvas. */
  fill(film, image, part, look) {
    this.prepare(film, look);
    const shown = new ImageData(part.width, part.height), to = new Uint32Array(shown.data.buffer);
    const { table } = this, { data } = image;
    for (let y = 0, at = 0; y < part.height; y++) {
      let from = ((part.y + y) * image.width + part.x) * film.channels;
      if (film.channels === 1) for (let x = 0; x < part.width; x++) to[at++] = table[data[from++]];
      else for (let x = 0; x < part.width; x++, from += 4) {
        to[at++] = 0xff000000 | (table[data[from + 2]] & 0xff0000) | (table[data[from + 1]] & 0xff00)
          | (table[data[from]] & 0xff);
      }
    }
    if (this.scratch.width < part.width || this.scratch.height < part.height) {
      this.scratch = new OffscreenCanvas(part.width, part.height);
    }
    this.scratch.getContext('2d').putImageData(shown, 0, 0);
  }

  /** Make the table of a look, unless it is that of before. */
  prepare(film, { black, white, isInverted }) {
    const wanted = [film.depth, black, white, isInverted].join();
    if (wanted === this.tableOf) return;
    this.tableOf = wanted;
    this.table = new Uint32Array(2 ** film.depth);
    for (let value = 0; value < this.table.length; value++) {
      const share = black < white ? Math.min(Math.max((value - black) / (white - black), 0), 1) : Number(value > black);
      const grey = Math.round(255 * (isInverted ? 1 - share : share));
      this.table[value] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
  }
}

/** The part of an image, in its pixels of `step` CSS px, that is on the stage, and a pixel more around it. */
function visible(image, view, step) {
  const x = Math.max(0, Math.floor(-view.left / step) - 1), y = Math.max(0, Math.floor(-view.top / step) - 1);
  const right = Math.min(image.width, Math.ceil((view.stage.width - view.left) / step) + 1);
  const bottom = Math.min(image.height, Math.ceil((view.stage.height - view.top) / step) + 1);
  return { x, y, width: right - x, height: bottom - y };
}
