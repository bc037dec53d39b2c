/** How the film that is open is seen: its place on the stage, its window, and what is shown on it. */

import { Looks } from './looks.js';
import { View } from './view.js';

/** The base of `App`, which has the points and the page. */
export class Sight {
  view = new View();
  looks = new Looks();
  film = null;    // null while it loads, and where it cannot be read
  cross = null;   // where Enter, or the lifted finger, places
  hovered = null; // place on the stage that the pointer is over
  on = { names: true, keep: false, hidden: false, loupe: false }; // what keys and buttons turn on

  /** See another film. */
  see(film) {
    const { width, height } = film, { view } = this;
    const isAlike = width === view.film.width && height === view.film.height;
    this.film = film;
    view.resize({ film: { width, height } });
    if (!(this.on.keep && isAlike)) view.fit();
    this.looks.set('own', film);
  }

  hover(place) {
    this.hovered = place;
    if (this.on.loupe) this.page.redraw();
  }

  pan(x, y) {
    this.view.pan(x, y);
    this.page.redraw();
  }

  /** Zoom to a place of the stage; by keys to the cross, the point, or the middle. */
  zoom(factor, place) {
    const point = this.cross ?? this.points()[this.name], { stage } = this.view;
    const middle = point && this.view.shows(point) ? this.view.toStage(point)
      : [stage.width / 2, stage.height / 2];
    this.view.zoom(factor, place ?? middle);
    this.page.redraw();
  }

  fit() {
    this.view.fit();
    this.page.redraw();
  }

  centre() {
    const point = this.points()[this.name];
    if (point) this.view.centre(point);
    this.page.redraw();
  }

  /** Where the loupe is: at the pointer, else at the cross or the point. */
  loupePoint() {
    return this.hovered ? this.view.toImage(this.hovered) : this.cross ?? this.points()[this.name] ?? this.middle();
  }

  setWindow(which) {
    if (!this.film) return;
    this.looks.set(which, this.film);
    this.page.say(this.looks.inWords());
    this.page.redraw();
  }

  dragWindow(x, y) {
    if (!this.film) return;
    this.looks.drag(x, y);
    this.page.say(this.looks.inWords());
    this.page.redraw();
  }

  toggle(what) {
    if (what === 'invert') this.looks.isInverted = !this.looks.isInverted;
    else this.on[what] = !this.on[what];
    this.page.redraw();
  }

  hold(what, is) {
    this.on[what] = is;
    this.page.redraw();
  }

  /** The nearest landmark within some CSS px of a place of the stage; null where none is. */
  markerAt([x, y], reach) {
    const far = ([, point]) => Math.hypot(...this.view.toStage(point).map((value, k) => value - [x, y][k]));
    const [nearest] = Object.entries(this.points()).sort((a, b) => far(a) - far(b));
    return this.film && !this.on.hidden && nearest && far(nearest) <= reach ? nearest[0] : null;
  }

  /** The pixel in the middle of the stage. */
  middle() {
    const { width, height } = this.view.stage;
    return this.onFilm(this.view.toImage([width / 2, height / 2])).map(Math.round);
  }

  /** A point as it is stored: to 0.01 px, between the centres of the outermost pixels. */
  onFilm(point) {
    const { width, height } = this.film;
    return point.map((value, k) => Math.min(Math.max(Math.round(value * 100) / 100, 0), [width, height][k] - 1));
  }
}
