/** What the reader does to the film that is open; keys, pointers and buttons all come here. */

import { Looks } from './looks.js';
import { inWords } from './landmarks.js';
import { View } from './view.js';

const FEW = 6;    // landmarks whose names hide little of a film
const CLEAR = 60; // CSS px between a point that is moved by keys and the edge of the stage

export class App {
  view = new View();
  looks = new Looks();
  number = null;     // of the film that is open
  film = null;       // null while it loads, and where it cannot be read
  problem = '';      // why it cannot
  current = 0;       // index of the landmark whose turn it is
  drafts = {};       // marks that are being moved, by landmark
  cross = null;      // where Enter, or the lifted finger, places
  hovered = null;    // place on the stage that the pointer is over
  on = { names: true, keep: false, hidden: false, loupe: false }; // what keys and buttons turn on

  /** Its `page`, which is set once both are there, shows it. */
  constructor(desk, films) {
    Object.assign(this, { desk, films });
    this.on.names = desk.landmarks.length <= FEW;
  }

  get name() { return this.desk.landmarks[this.current]; }

  get isSaved() { return !this.desk.outbox.waiting.length && !Object.keys(this.drafts).length; }

  /** The marks of the film that is open, also those that are being moved. */
  marks() { return { ...this.desk.marksOf(this.number), ...this.drafts }; }

  isAnswered(index) { return this.marks()[this.desk.landmarks[index]] != null; }

  // --- films

  /** Open a film, at a landmark, or at the first one that is not set. */
  async open(number, landmark) {
    this.commit();
    if (this.number !== null && number !== this.number) this.desk.leave(this.number);
    Object.assign(this, { number, film: null, problem: '', cross: null, current: landmark ?? 0 });
    this.page.reopen();
    let film = null, problem = '';
    try { [film] = await Promise.all([this.films.get(number), this.desk.load(number)]); }
    catch (error) { problem = error.message; }
    if (this.number !== number) return; // another one was opened meanwhile
    Object.assign(this, { film, problem });
    if (film) this.begin(film, landmark);
    else this.page.say(`Cannot be read: ${problem}`, true);
    this.page.relist();
    this.page.redraw();
    if (number + 1 < this.desk.images.length) this.films.get(number + 1).catch(() => {}); // it tells when it is opened
  }

  begin(film, landmark) {
    const { width, height } = film, { view } = this;
    const isAlike = width === view.film.width && height === view.film.height;
    view.resize({ film: { width, height } });
    if (!(this.on.keep && isAlike)) view.fit();
    this.looks.begin(film);
    this.current = landmark ?? this.next(-1) ?? 0;
    const marks = this.marks(), n = this.desk.landmarks.filter((name) => marks[name] != null).length;
    this.page.say(`${this.desk.images[this.number]}: ${n} of ${this.desk.landmarks.length} set`
                  + (this.isAnswered(this.current) ? '' : `; place ${this.name}`));
  }

  /** The next film of the list, or the one before. */
  step(by) {
    const numbers = this.page.numbers(), at = numbers.indexOf(this.number);
    if (numbers[at + by] !== undefined) this.open(numbers[at + by]);
    else this.page.say(by > 0 ? 'This is the last film' : 'This is the first film');
  }

  // --- landmarks

  /** The index of the next landmark that is not set, after one of them and from the first on again. */
  next(index) {
    const n = this.desk.landmarks.length;
    for (let k = 1; k <= n; k++) if (!this.isAnswered((index + k + n) % n)) return (index + k + n) % n;
    return null;
  }

  choose(index) {
    this.commit();
    this.current = index;
    this.cross = null;
    const mark = this.marks()[this.name];
    if (Array.isArray(mark) && !this.view.shows(mark)) this.view.centre(mark);
    this.page.say(mark == null ? `Place ${this.name}` : `${this.name}: ${inWords(mark)}`);
    this.page.relist();
    this.page.redraw();
  }

  chooseBy(step) {
    const n = this.desk.landmarks.length;
    this.choose((this.current + step + n) % n);
  }

  skip() {
    const next = this.next(this.current);
    if (next === null) this.page.say('All landmarks are set');
    else this.choose(next);
  }

  /** A click at a place of the stage, on a marker of that name or on none. */
  click(place, name) {
    if (!this.film) return;
    if (!this.isAnswered(this.current)) this.place(this.view.toImage(place));
    else if (name) this.choose(this.desk.landmarks.indexOf(name));
    else {
      const isAll = this.next(this.current) === null;
      this.page.say(`${this.name} is set already${isAll ? ', as all are' : ''}: drag it, or clear it with Backspace`);
    }
  }

  /** Place the landmark whose turn it is, unless it is set already. */
  place(point) {
    this.cross = null;
    this.page.redraw();
    if (!this.film || this.isAnswered(this.current)) return;
    const { width, height } = this.film, [x, y] = point;
    if (x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5) this.page.say('That is beside the film', true);
    else this.answer(this.onFilm(point));
  }

  placeAtCross() {
    if (this.cross) this.place(this.cross);
    else this.page.say('The arrow keys bring a cross, Enter places the landmark there');
  }

  /** Say something of the landmark whose turn it is, and go on to the next. */
  answer(mark) {
    if (!this.film) return;
    this.commit();
    const index = this.current, name = this.name;
    this.cross = null;
    this.desk.mark(this.number, { [name]: mark });
    this.current = this.next(index) ?? index;
    this.page.say(`${name}: ${inWords(mark)}; ${this.isAnswered(this.current) ? 'all set, n opens the next film'
      : `place ${this.name}`}`);
    this.page.relist();
    this.page.redraw();
  }

  clear() {
    delete this.drafts[this.name];
    if (!this.film || !this.isAnswered(this.current)) return;
    this.desk.mark(this.number, { [this.name]: null });
    this.page.say(`${this.name} is cleared`);
    this.page.relist();
    this.page.redraw();
  }

  /** Choose one of the marks that two pages have given a landmark. */
  settle(name, mark) {
    this.desk.mark(this.number, { [name]: mark });
    this.page.say(`${name}: ${inWords(mark)}`);
  }

  /** Undo or redo, and go to where that was. */
  async go(kind) {
    this.commit();
    const { number, before } = await this.desk.go(kind, this.number);
    if (number === null) return this.page.say(`There is nothing to ${kind}`);
    const marks = this.desk.marksOf(number);
    const changed = this.desk.landmarks.findIndex((name) => String(marks[name]) !== String(before[name]));
    if (number !== this.number) await this.open(number, Math.max(changed, 0));
    else if (changed >= 0) this.current = changed;
    const name = this.desk.landmarks[Math.max(changed, 0)];
    this.page.say(`${kind === 'undo' ? 'Undone' : 'Redone'}: ${name} ${inWords(marks[name])}`);
    this.page.relist();
    return this.page.redraw();
  }

  // --- points that move

  /** The nearest landmark within some CSS px of a place of the stage; null where none is. */
  markerAt([x, y], reach) {
    const far = ([, mark]) => Math.hypot(...this.view.toStage(mark).map((value, k) => value - [x, y][k]));
    const points = Object.entries(this.marks()).filter(([, mark]) => Array.isArray(mark));
    const [nearest] = points.sort((a, b) => far(a) - far(b));
    return this.film && !this.on.hidden && nearest && far(nearest) <= reach ? nearest[0] : null;
  }

  /** Move a point, for now. */
  draft(name, point) {
    this.drafts = { [name]: this.onFilm(point) };
    this.current = this.desk.landmarks.indexOf(name);
    this.page.relist();
    this.page.redraw();
  }

  /** What was moved stays there. */
  commit() {
    const drafts = this.drafts;
    this.drafts = {};
    for (const [name, mark] of Object.entries(drafts)) {
      if (String(this.desk.marksOf(this.number)[name]) === String(mark)) continue;
      this.desk.mark(this.number, { [name]: mark });
      this.page.say(`${name}: ${inWords(mark)}`);
    }
  }

  dropDraft() {
    this.drafts = {};
    this.page.redraw();
  }

  setCross(point) {
    this.cross = point && this.film ? this.onFilm(point) : null;
    this.page.redraw();
  }

  /** Move the point by px of the film, or the cross where the landmark has none. */
  nudge(x, y) {
    if (!this.film) return;
    const mark = this.marks()[this.name];
    const from = Array.isArray(mark) ? mark : this.cross ?? this.middle();
    const to = this.onFilm([from[0] + x, from[1] + y]);
    if (Array.isArray(mark)) this.draft(this.name, to);
    else if (mark == null) this.setCross(to);
    if (!this.view.shows(to, CLEAR)) this.view.centre(to);
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

  // --- what is seen

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
    const point = this.cross ?? this.marks()[this.name], { stage } = this.view;
    const middle = Array.isArray(point) && this.view.shows(point) ? this.view.toStage(point)
      : [stage.width / 2, stage.height / 2];
    this.view.zoom(factor, place ?? middle);
    this.page.redraw();
  }

  fit() {
    this.view.fit();
    this.page.redraw();
  }

  centre() {
    const point = this.marks()[this.name];
    if (Array.isArray(point)) this.view.centre(point);
    this.page.redraw();
  }

  /** Where the loupe is: at the pointer, else at the cross or the point. */
  loupePoint() {
    const point = this.cross ?? this.marks()[this.name];
    return this.hovered ? this.view.toImage(this.hovered) : Array.isArray(point) ? point : this.middle();
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

  help() { this.page.help(); }

  /** Drop the cross, or go to the buttons. */
  leaveStage() {
    if (this.cross) this.setCross(null);
    else this.page.leaveStage();
  }

  quit() {
    this.commit();
    if (this.isSaved) this.page.say('All is saved: this page can be closed. Ctrl-C in the terminal ends annotate');
    else this.page.say('Not all is saved yet; leave this page open until it says so', true);
  }
}
