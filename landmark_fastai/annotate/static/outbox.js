/**
 * What the reader has done and the server has not acknowledged, in IndexedDB: it outlives a crash of the browser.
 *
 * An action is on disk here before it is posted, posted in order, and goes once the server has it on disk.
 */

import { Refused } from './server.js';

const AT_ONCE = 200;                  // actions of a request
const SOON = 300, LATE = 1500;        // ms between attempts

export class Outbox {
  waiting = [];            // entries {action, key, written}, the oldest first
  savedAt = null;          // Date of the last acknowledgement
  problem = '';            // why nothing was acknowledged at the last attempt
  unsafe = '';             // why this browser keeps nothing, if it does not
  onChange = () => {};
  onAnswer = () => {};     // gets what the server answers
  onRefusal = () => {};    // gets an action that the server will never take, and its words
  onStale = () => {};
  writing = Promise.resolve();
  isSending = false;
  settlers = [];

  /** The outbox of that name, which `post` empties: a function of a list of actions. */
  constructor(name, post) {
    this.name = name;
    this.post = post;
  }

  /** Take what a page before this one has left, but for actions on films that are gone, which stay on disk. */
  async open(isHere) {
    try {
      this.database = await opened(this.name);
      const store = this.database.transaction('actions').objectStore('actions');
      const [keys, actions] = await Promise.all([result(store.getAllKeys()), result(store.getAll())]);
      this.waiting = actions.map((action, k) => ({ action, key: keys[k] }))
        .filter(({ action }) => isHere(action.image));
    } catch (error) { this.unsafe = error.message; }
  }

  /** Keep an action, and send it. */
  add(action) {
    const entry = { action };
    this.waiting.push(entry);
    entry.written = this.writing = this.writing.then(() => this.write(entry));
    this.onChange();
    this.send();
  }

  /** Resolves once everything is acknowledged. */
  settled() {
    if (!this.waiting.length) return Promise.resolve();
    return new Promise((resolve) => { this.settlers.push(resolve); });
  }

  /** Post until nothing is left, however long the server is away. */
  async send() {
    if (this.isSending) return;
    this.isSending = true;
    let pause = SOON, atOnce = AT_ONCE;
    while (this.waiting.length) {
      const batch = this.waiting.slice(0, atOnce);
      await Promise.all(batch.map((entry) => entry.written));
      try {
        const answer = await this.post(batch.map((entry) => entry.action));
        this.savedAt = new Date();
        this.problem = '';
        const forgotten = this.forget(batch); // it waits no more: where another tab was first, its mark is not taken
        this.onAnswer(answer);
        await forgotten;
        pause = SOON;
      } catch (error) {
        if (error.isStale) return this.onStale();
        if (error.isWrong) {
          if (batch.length > 1) atOnce = 1; // find out which one it is
          else {
            await this.forget(batch);
            this.onRefusal(batch[0].action, error.message);
          }
        } else {
          this.problem = error instanceof Refused ? error.message : 'no server';
          this.onChange();
          await new Promise((resolve) => { setTimeout(resolve, pause); });
          pause = Math.min(pause * 2, LATE);
        }
      }
    }
    this.isSending = false;
    this.settlers.splice(0).forEach((resolve) => resolve());
  }

  async write(entry) {
    if (!this.database) return;
    try { entry.key = await this.store((store) => store.add(entry.action)); }
    catch (error) { this.unsafe = error.message; }
  }

  async forget(batch) {
    const keys = batch.map((entry) => entry.key).filter((key) => key !== undefined);
    this.waiting.splice(0, batch.length);
    this.onChange();
    if (!keys.length) return;
    const remove = (store) => keys.forEach((key) => store.delete(key));
    await this.store(remove).catch(() => {}); // what is sent again the server knows
  }

  /** Do something with the store; resolves, with what a request has found, once that is on disk. */
  store(use) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction('actions', 'readwrite', { durability: 'strict' });
      const request = use(transaction.objectStore('actions'));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }
}

function opened(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore('actions', { autoIncrement: true });
  return result(request);
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
