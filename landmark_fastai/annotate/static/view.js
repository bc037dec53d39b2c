/**
 * Where a film lies on the stage.
 *
 * Points of a film are in its px, with pixel centres at whole numbers, so that its corner is at -0.5, -0.5. Places on
 * the stage are in CSS px from the stage's corner.
 */

const LARGEST = 64; // CSS px a pixel of the film
const LEFT = 40;    // CSS px of a film that stay on the stage

export class View {
  film = { width: 1, height: 1 };
  stage = { width: 1, height: 1 };
  scale = 1; // CSS px a pixel of the film
  left = 0;  // place of the film's corner
  top = 0;
  isFitted = true;

  /** Show a film of another size, or on a stage of another size; what was fitted is fitted again. */
  resize({ film = this.film, stage = this.stage }) {
    this.film = film;
    this.stage = stage;
    if (this.isFitted) this.fit();
    else this.keepOnStage();
  }

  /** All of the film, in the middle. */
  fit() {
    this.scale = this.fitting;
    this.left = (this.stage.width - this.film.width * this.scale) / 2;
    this.top = (this.stage.height - this.film.height * this.scale) / 2;
    this.isFitted = true;
  }

  /** The scale at which the film fits. */
  get fitting() {
    const fitting = Math.min(this.stage.width / this.film.width, this.stage.height / this.film.height);
    return Math.max(fitting * 0.98, 1e-3);
  }

  /** Zoom by a factor; what lies at a place of the stage stays there. */
  zoom(factor, [x, y]) {
    const scale = Math.min(Math.max(this.scale * factor, Math.min(this.fitting / 2, 1)), LARGEST);
    this.left = x - (x - this.left) * scale / this.scale;
    this.top = y - (y - this.top) * scale / this.scale;
    this.scale = scale;
    this.isFitted = false;
    this.keepOnStage();
  }

  pan(x, y) {
    this.left += x;
    this.top += y;
    this.isFitted = false;
    this.keepOnStage();
  }

  /** Bring a point of the film to the middle of the stage. */
  centre(point) {
    const [x, y] = this.toStage(point);
    this.pan(this.stage.width / 2 - x, this.stage.height / 2 - y);
  }

  /** The point of the film at a place of the stage. */
  toImage([x, y]) {
    return [(x - this.left) / this.scale - 0.5, (y - this.top) / this.scale - 0.5];
  }

  /** The place on the stage of a point of the film. */
  toStage([x, y]) {
    return [this.left + (x + 0.5) * this.scale, this.top + (y + 0.5) * this.scale];
  }

  /** Whether a point of the film is on the stage, with a margin in CSS px. */
  shows(point, margin = 0) {
    const [x, y] = this.toStage(point);
    return x >= margin && y >= margin && x <= this.stage.width - margin && y <= this.stage.height - margin;
  }

  keepOnStage() {
    const within = (start, length, room) => Math.min(Math.max(start, LEFT - length), room - LEFT);
    this.left = within(this.left, this.film.width * this.scale, this.stage.width);
    this.top = within(this.top, this.film.height * this.scale, this.stage.height);
  }
}
