/**
 * What the server knows and what the outbox still holds, as one.
 *
 * A mark is [x, y] in px of the film, 'absent', 'unclear', or null where nothing is said.
 */

import { Clock } from './clock.js';
import { Outbox } from './outbox.js';
import { askJson } from './server.js';

const CLIENT = crypto.randomUUID(); // this tab, since it was loaded
const FEW = 3; // films that tell a pace
const NOTHING = { marks: {}, conflicts: {}, suggestions: {} };

export class Desk {
  states = new Map(); // by number of the film
  clock = new Clock();
  made = 0;                 // marks, by this page
  turn = Promise.resolve(); // what is undone and redone comes one after another
  asked = new Set();        // numbers of the films that the trained run looks at
  onMarks = () => {};       // the marks of some films have changed, or what is offered there
  onRunFailed = () => {};   // the trained run cannot tell of a film, and why

  /** Ask for the desk, and look for what an earlier page has left. */
  async open() {
    Object.assign(this, await askJson('/api/desk')); // as `get_desk` tells
    this.numbers = new Map(this.ids.map((id, number) => [id, number]));
    this.outbox = new Outbox(`annotate ${this.key}`, (actions) => this.post(actions));
    this.outbox.onAnswer = (answer) => this.take(answer);
    await this.outbox.open((id) => this.numbers.has(id));
  }

  /** Learn what other tabs have done meanwhile, and ask for a film anew. Resolves to whether there was anything. */
  async refresh(number) {
    const { n, answered, undo, redo } = await askJson('/api/desk');
    if (n === this.n || this.outbox.waiting.length) return false; // an answer to what waits will tell
    Object.assign(this, { n, answered, undo, redo });
    this.states.clear();
    await this.load(number);
    this.onMarks();
    return true;
  }

  /** Ask for what was said of a film. */
  async load(number) {
    if (!this.states.has(number)) {
      const state = await askJson(`/api/images/${number}?films=${this.films}`);
      if (!this.states.has(number)) this.states.set(number, state); // an answer to an action is newer
    }
    this.askRun(number);
    return this.states.get(number);
  }

  /** Ask what the trained run finds on a film, and offer it when it has told. */
  async askRun(number) {
    if (!this.states.get(number)?.canAsk || this.asked.has(number)) return;
    this.asked.add(number);
    try {
      const { canAsk, suggestions } = await askJson(`/api/images/${number}/predicted?films=${this.films}`);
      Object.assign(this.states.get(number), { canAsk, suggestions });
    } catch (error) { this.onRunFailed(number, error.message); }
    this.asked.delete(number);
    this.onMarks([number]);
  }

  /** Whether what the trained run finds on a film is still to come. */
  isAsked(number) { return this.asked.has(number); }

  /** What is offered for the landmarks of a film, by name: lists of {mark, origin, by}, the best first. */
  suggestionsOf(number) { return (this.states.get(number) ?? NOTHING).suggestions; }

  /** What looks like a slip on a film, each in a sentence, once everything is saved. */
  async slipsOf(number) {
    await this.outbox.settled();
    return askJson(`/api/images/${number}/slips?films=${this.films}`);
  }

  /** The numbers of the films in an order, by its name. */
  order(how) { return askJson(`/api/order?how=${how}&films=${this.films}`); }

  /** The marks of a film, by landmark: those that the server knows, and on top what it does not know yet. */
  marksOf(number) {
    const marks = { ...(this.states.get(number) ?? NOTHING).marks }, undone = new Set();
    const actions = this.outbox.waiting.map(({ action }) => action);
    for (const { kind, target } of actions) {
      if (kind === 'undo') undone.add(target);
      if (kind === 'redo') undone.delete(target);
    }
    for (const { id, kind, image, marks: given } of actions) {
      if (kind === 'mark' && image === this.ids[number] && !undone.has(id)) Object.assign(marks, given);
    }
    return marks;
  }

  /** The marks that another tab has made at the same time, by landmark. */
  conflictsOf(number) { return (this.states.get(number) ?? NOTHING).conflicts; }

  /** How many landmarks of a film have a mark. */
  answeredOf(number) {
    if (!this.states.has(number)) return this.answered[number];
    const marks = this.marksOf(number);
    return this.landmarks.filter((name) => marks[name] != null).length;
  }

  /** The numbers of the films that are finished. */
  finished() { return [...this.images.keys()].filter((number) => this.isFinished(number)); }

  /** The minutes that all but the finished films take, at the median of these; null where they are few. */
  minutesLeft(finished) {
    const seconds = finished.map((number) => this.seconds[number]).filter((each) => each > 0).sort((a, b) => a - b);
    if (seconds.length < FEW) return null;
    return seconds[Math.floor(seconds.length / 2)] * (this.images.length - finished.length) / 60;
  }

  isFinished(number) { return this.answeredOf(number) === this.landmarks.length; }

  /** Give landmarks of a film new marks, which are from a click, or from where the server says. */
  mark(number, marks, origin = 'click') {
    this.made += 1;
    this.add('mark', number, { marks, origin });
  }

  /** Tell how long the reader has worked on a film that is left. */
  leave(number) {
    const seconds = this.clock.take();
    if (seconds >= 1) this.add('work', number, { seconds });
  }

  /** What is undone or redone next, {target, image}; null for nothing, undefined where the server has to tell. */
  next(kind) {
    const known = { undo: [this.undo], redo: [this.redo] };
    for (const { action } of this.outbox.waiting) {
      if (action.kind === 'mark') {
        known.undo.push({ target: action.id, image: this.numbers.get(action.image) });
        known.redo = [null];
      } else if (action.kind !== 'work') {
        known[action.kind === 'undo' ? 'redo' : 'undo'].push(known[action.kind].pop());
      }
    }
    return known[kind].at(-1);
  }

  /**
   * Undo or redo, by 'undo' or 'redo', what is next now; it may be on another film than the one of the number. Resolves
   * to the number of the film that it was on and its marks before, and null for the number where nothing is done.
   */
  go(kind, number) {
    const { made } = this;
    this.turn = this.turn.then(async () => {
      if (this.next(kind) === undefined) await this.outbox.settled();
      const next = this.next(kind);
      if (!next || made !== this.made) return { number: null }; // what was marked meanwhile was not meant
      const film = next.image ?? number; // null for a film that is gone
      await this.load(film).catch(() => {}); // of a broken film there is nothing to tell
      if (film !== number) this.leave(number);
      const before = this.marksOf(film), isHere = this.outbox.waiting.some(({ action }) => action.id === next.target);
      this.add(kind, film, { target: next.target });
      if (!isHere) await this.outbox.settled(); // the server knows what was before
      return { number: film, before };
    });
    return this.turn;
  }

  add(kind, number, values) {
    const seconds = this.clock.take();
    const image = this.ids[number];
    this.outbox.add({ id: crypto.randomUUID(), client: CLIENT, kind, image, base: this.n, seconds, ...values });
    this.onMarks([number]);
  }

  /** Send actions, which know films by an id that stays, with the numbers of this server. */
  post(actions) {
    const body = actions.map((action) => ({ ...action, image: this.numbers.get(action.image) }));
    return askJson(`/api/actions?films=${this.films}`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  }

  take({ images, ...head }) {
    Object.assign(this, head); // n, undo, redo
    const numbers = Object.keys(images).map(Number);
    for (const number of numbers) {
      this.states.set(number, images[number]);
      this.answered[number] = Object.keys(images[number].marks).length;
      this.seconds[number] = images[number].seconds;
    }
    this.onMarks(numbers);
  }
}
