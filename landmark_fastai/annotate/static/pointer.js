/**
 * Mouse, pen and fingers on the stage.
 *
 * A press without a movement is a click; with one it drags the marker under it, or the film. With the right button, or
 * Shift, it changes the window. Two fingers zoom and pan; a finger that rests brings a cross, above it where it can be
 * seen, and what is under the cross is placed when it is lifted.
 */

const STILL = 4;                            // CSS px that a press may move and still be a click
const REACH = { mouse: 10, pen: 12, touch: 24 }; // CSS px from a marker within which it is taken
const REST = 350;                           // ms until a finger brings the cross
const ABOVE = 70;                           // CSS px from the finger to the cross

export class Pointer {
  places = new Map(); // of what touches the stage, by pointer
  gesture = null;     // {kind, start, last, name, grip, film, timer}

  constructor(stage, app) {
    Object.assign(this, { stage, app });
    const listen = (type, handler) => stage.addEventListener(type, handler.bind(this), { passive: false });
    listen('pointerdown', this.down);
    listen('pointermove', this.move);
    listen('pointerup', this.up);
    listen('pointercancel', this.cancel);
    listen('pointerleave', () => { if (!this.gesture) app.hover(null); });
    listen('wheel', this.wheel);
    listen('contextmenu', (event) => event.preventDefault());
  }

  /** The place of an event on the stage. */
  placeOf(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    const place = this.placeOf(event);
    this.stage.setPointerCapture(event.pointerId);
    this.places.set(event.pointerId, place);
    if (this.places.size > 1) return this.pinch();
    const isTouch = event.pointerType === 'touch';
    const name = this.app.markerAt(place, REACH[event.pointerType] ?? REACH.mouse);
    this.gesture = { kind: this.kindOf(event), start: place, last: place, name, film: this.app.number };
    if (name) this.gesture.grip = minus(this.app.view.toStage(this.app.points()[name]), place);
    if (isTouch && !name) this.gesture.timer = setTimeout(() => this.aim(), REST);
  }

  kindOf({ button, shiftKey }) {
    if (button === 2 || (button === 0 && shiftKey)) return 'window';
    return button === 0 ? 'press' : 'pan';
  }

  move(event) {
    const place = this.placeOf(event), { gesture, app } = this;
    if (!this.places.has(event.pointerId)) return app.hover(place);
    if (gesture?.kind === 'pinch') return this.pinched(event.pointerId, place);
    this.places.set(event.pointerId, place);
    if (!gesture) return undefined;
    if (gesture.film !== app.number) return this.end(); // another one was opened by a key
    if (gesture.kind === 'press' && Math.hypot(...minus(place, gesture.start)) > STILL) {
      clearTimeout(gesture.timer);
      gesture.kind = gesture.name ? 'drag' : 'pan';
      this.stage.classList.add('dragging');
    }
    const by = minus(place, gesture.last);
    gesture.last = place;
    if (gesture.kind === 'drag') app.draft(gesture.name, app.view.toImage(plus(place, gesture.grip)));
    else if (gesture.kind === 'pan') app.pan(...by);
    else if (gesture.kind === 'window') app.dragWindow(...by);
    else if (gesture.kind === 'aim') app.setCross(app.view.toImage(above(place)));
    return app.hover(place);
  }

  up(event) {
    const { gesture, app } = this;
    this.places.delete(event.pointerId);
    if (!gesture || this.places.size) return undefined;
    if (gesture.film !== app.number) return this.end();
    if (gesture.kind === 'press') app.click(gesture.start, gesture.name);
    if (gesture.kind === 'drag') app.commit();
    if (gesture.kind === 'aim') app.place(app.view.toImage(above(gesture.last)));
    return this.end();
  }

  cancel(event) {
    this.places.delete(event.pointerId);
    this.app.dropDraft();
    this.end();
  }

  end() {
    clearTimeout(this.gesture?.timer);
    this.gesture = null;
    this.stage.classList.remove('dragging');
  }

  /** A second finger: what the first had begun is nothing. */
  pinch() {
    this.end();
    this.app.dropDraft();
    this.app.setCross(null);
    this.gesture = { kind: 'pinch', film: this.app.number };
  }

  pinched(id, place) {
    const other = [...this.places].find(([each]) => each !== id)?.[1], before = this.places.get(id);
    this.places.set(id, place);
    if (!other) return;
    const apart = (a) => Math.max(Math.hypot(...minus(a, other)), 1), middle = (a) => plus(a, other).map((x) => x / 2);
    this.app.pan(...minus(middle(place), middle(before)));
    this.app.zoom(apart(place) / apart(before), middle(place));
  }

  aim() {
    if (this.gesture?.kind !== 'press') return;
    this.gesture.kind = 'aim';
    this.app.setCross(this.app.view.toImage(above(this.gesture.last)));
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.0016; // Ctrl: two fingers on a pad
    this.app.zoom(Math.exp(-event.deltaY * lines * speed), this.placeOf(event));
  }
}

function plus([x, y], [dx, dy]) { return [x + dx, y + dy]; }

function minus([x, y], [dx, dy]) { return [x - dx, y - dy]; }

function above([x, y]) { return [x, y - ABOVE]; }
