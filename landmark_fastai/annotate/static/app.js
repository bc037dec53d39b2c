/** What the reader does to the film that is open; keys, pointers and buttons all come here. */

import { inWords } from './landmarks.js';
import { Refused } from './server.js';
import { Sight } from './sight.js';
import { Slips } from './slips.js';

const FEW = 6;      // landmarks whose names hide little of a film
const CLEAR = 60;   // CSS px between a point that is moved by keys and the edge of the stage
const AGAIN = 1000; // ms until a server that does not answer is asked again

export class App extends Sight {
  number = null; // of the film that is open
  problem = '';  // why it cannot be read
  current = 0;   // index of the landmark whose turn it is
  drafts = {};   // marks that are being moved, by landmark

  /** Its `page`, which is set once both are there, shows it. */
  constructor(desk, films) {
    super();
    Object.assign(this, { desk, films, slips: new Slips(desk) });
    this.on.names = desk.landmarks.length <= FEW;
  }

  get name() { return this.desk.landmarks[this.current]; }

  get isSaved() { return !this.desk.outbox.waiting.length && !Object.keys(this.drafts).length; }

  /** The marks of the film that is open, also those that are being moved. */
  marks() { return { ...this.desk.marksOf(this.number), ...this.drafts }; }

  /** What is offered for a landmark, by name, the best first; nothing where it is set. */
  offered(name) { return this.marks()[name] == null ? this.desk.suggestionsOf(this.number)[name] ?? [] : []; }

  /** What `y` and `t` take for a landmark: the best that is offered, unless readers have to be chosen between. */
  best(name) {
    const [best, ...others] = this.offered(name);
    return best?.by && others.length ? undefined : best;
  }

  /** The points of the film that is open, by landmark; where none is set the one that is offered. */
  points() {
    const marks = this.marks();
    const found = this.desk.landmarks.map((name) => [name, marks[name] ?? this.offered(name)[0]?.mark]);
    return Object.fromEntries(found.filter(([, mark]) => Array.isArray(mark)));
  }

  isAnswered(index) { return this.marks()[this.desk.landmarks[index]] != null; }

  // --- films

  /** Open a film, at a landmark, or at the first one that is not set. */
  async open(number, landmark) {
    this.commit();
    if (this.number !== null && number !== this.number) this.desk.leave(this.number);
    Object.assign(this, { number, film: null, problem: '', cross: null, current: landmark ?? 0 });
    this.page.reopen();
    try {
      const [film] = await Promise.all([this.films.get(number), this.desk.load(number)]);
      if (this.number !== number) return; // another one was opened meanwhile
      this.begin(film, landmark);
    } catch (error) {
      if (this.number === number) this.fail(error, landmark);
    }
    this.page.relist();
    this.page.redraw();
    const numbers = this.page.numbers(), next = numbers[numbers.indexOf(number) + 1];
    if (next === undefined) return;
    this.films.get(next).catch(() => {}); // it tells when it is opened
    this.desk.load(next).catch(() => {});
  }

  /** A film could not be opened: it is broken, or the server is away, or has other films. */
  fail(error, landmark) {
    const { number } = this, isBroken = error instanceof Refused;
    if (error.isStale) return this.desk.outbox.onStale();
    this.problem = isBroken ? error.message : 'The server does not answer; the film opens when it does';
    this.page.say(`${this.desk.images[number]} cannot be ${isBroken ? 'read' : 'opened yet'}`, true);
    if (!isBroken) setTimeout(() => { if (this.number === number && !this.film) this.open(number, landmark); }, AGAIN);
    return undefined;
  }

  begin(film, landmark) {
    this.see(film);
    this.current = landmark ?? this.next(-1) ?? 0;
    const marks = this.marks(), n = this.desk.landmarks.filter((name) => marks[name] != null).length;
    this.page.say(`${this.desk.images[this.number]}: ${n} of ${this.desk.landmarks.length} set`
                  + (this.isAnswered(this.current) ? '' : `; place ${this.name}`));
  }

  /** The reader comes back to this page, perhaps from another one. */
  async comeBack() {
    if (await this.desk.refresh(this.number)) this.choose(this.next(this.current - 1) ?? this.current);
  }

  /** The next film of the list, or the one before; a slip on this one is told first. */
  async step(by) {
    if (by > 0 && await this.hasSlip()) return;
    const numbers = this.page.numbers(), at = numbers.indexOf(this.number);
    if (numbers[at + by] !== undefined) this.open(numbers[at + by]);
    else this.page.say(by > 0 ? 'This is the last film' : 'This is the first film');
  }

  /** Tell what looks like a slip on a film that is finished now, once. */
  async hasSlip() {
    const { number } = this, slips = await this.slips.take(number);
    if (!slips.length || number !== this.number) return false;
    this.page.note(`Is that right? ${slips.join('; ')}`);
    this.page.say(`${slips.join('; ')}. Next film again goes on`, true);
    return true;
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
    const mark = this.marks()[this.name], point = this.points()[this.name], best = this.best(this.name);
    if (point && !this.view.shows(point)) this.view.centre(point);
    const todo = `Place ${this.name}${best ? `, or y takes what is offered: ${inWords(best.mark)}` : ''}`;
    this.page.say(mark == null ? todo : `${this.name}: ${inWords(mark)}`);
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
  answer(mark, origin) {
    if (!this.film) return;
    this.commit();
    const index = this.current, name = this.name;
    this.cross = null;
    this.desk.mark(this.number, { [name]: mark }, origin);
    this.current = this.next(index) ?? index;
    this.slips.ask(this.number);
    this.page.say(`${name}: ${inWords(mark)}; ${this.isAnswered(this.current) ? 'all set, n opens the next film'
      : `place ${this.name}`}`);
    this.page.relist();
    this.page.redraw();
  }

  /** Take what is offered for the landmark whose turn it is. */
  accept() {
    const best = this.best(this.name);
    if (best) this.answer(best.mark, best.origin);
    else this.page.say(this.offered(this.name).length ? `Readers differ on ${this.name}: choose in the list, or click`
      : `Nothing is offered for ${this.name}`);
  }

  /** Take all that is offered. */
  acceptAll() {
    if (!this.film) return;
    this.commit();
    const best = this.desk.landmarks.map((name) => [name, this.best(name)]).filter(([, each]) => each);
    for (const origin of new Set(best.map(([, each]) => each.origin))) {
      const marks = best.filter(([, each]) => each.origin === origin).map(([name, { mark }]) => [name, mark]);
      this.desk.mark(this.number, Object.fromEntries(marks), origin);
    }
    this.current = this.next(this.current) ?? this.current;
    this.slips.ask(this.number);
    this.page.say(best.length ? `Taken: ${best.map(([name]) => name).join(', ')}` : 'Nothing is offered here');
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

  /** Choose one of the marks that two pages have given a landmark, or several readers. */
  settle(name, mark, origin) {
    this.current = this.desk.landmarks.indexOf(name);
    this.answer(mark, origin);
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

  /** Move a point, for now. */
  draft(name, point) {
    if (!this.film) return;
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
      this.slips.ask(this.number);
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
    const from = Array.isArray(mark) ? mark : this.cross ?? this.points()[this.name] ?? this.middle();
    const to = this.onFilm([from[0] + x, from[1] + y]);
    if (Array.isArray(mark)) this.draft(this.name, to);
    else if (mark == null) this.setCross(to);
    if (!this.view.shows(to, CLEAR)) this.view.centre(to);
  }

  // --- the page

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
