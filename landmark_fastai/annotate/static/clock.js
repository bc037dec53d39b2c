/** The time that a reader is at work: from one movement to the next, but for pauses. */

const PAUSE = 20000; // ms without a movement that are no work

export class Clock {
  worked = 0; // ms
  last = null;

  /** The reader has moved. */
  touch(now = performance.now()) {
    if (this.last !== null) this.worked += Math.min(now - this.last, PAUSE);
    this.last = now;
  }

  /** The seconds since this was asked last. */
  take() {
    const seconds = Math.round(this.worked) / 1000;
    this.worked = 0;
    return seconds;
  }
}
