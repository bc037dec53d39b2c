/** What looks like a slip on a film: asked for as its last landmark is set, told once as the reader goes on. */

const PATIENCE = 1000; // ms that the next film waits for what is said of this one

export class Slips {
  asked = null; // the number of a film, and a promise of sentences

  constructor(desk) { this.desk = desk; }

  /** Ask for those of a film, where all of it is set. */
  ask(number) {
    if (!this.desk.isFinished(number)) return;
    this.asked = { number, told: this.desk.slipsOf(number).catch(() => []) };
  }

  /** Sentences on a film that are not told yet, none where they come too late. */
  async take(number) {
    const { asked } = this;
    if (asked?.number !== number) return [];
    const late = new Promise((resolve) => { setTimeout(resolve, PATIENCE, []); });
    const slips = await Promise.race([asked.told, late]);
    if (this.asked === asked) this.asked = null;
    return slips;
  }
}
