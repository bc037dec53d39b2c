/** The window through which a film is seen: which values are black and white, and whether that is inverted. */

const WIDER = 250; // CSS px of a drag that make a window e times as wide, or move it by its width

export class Looks {
  black = 0;
  white = 255;
  isInverted = false;

  /** The window of the film's 'own', or over its 'range'. */
  set(which, film) {
    [this.black, this.white] = which === 'own' ? [film.black, film.white] : film.range();
  }

  /** Drag by CSS px: to the right it gets wider, and so softer, upwards lower, and so brighter. */
  drag(x, y) {
    const width = Math.max((this.white - this.black) * Math.exp(x / WIDER), 1);
    const level = (this.white + this.black) / 2 + y * width / WIDER;
    this.black = level - width / 2;
    this.white = level + width / 2;
  }

  inWords() {
    const { black, white } = this;
    return `Window: width ${Math.round(white - black)}, level ${Math.round((white + black) / 2)}`;
  }
}
