/** The page: elements, and what shows what is in the app on them. */

import { App } from './app.js';
import { Desk } from './desk.js';
import { describe, listen, tableOf } from './keys.js';
import { LandmarkList } from './landmarks.js';
import { FilmList } from './list.js';
import { Loupe } from './loupe.js';
import { Markers } from './markers.js';
import { Painter } from './paint.js';
import { Films } from './pixels.js';
import { Pointer } from './pointer.js';

const element = (id) => document.getElementById(id);
const stage = element('stage');

/** Everything on the screen; `App` tells when something has changed. */
class Page {
  painter = new Painter(element('film'));
  markers = new Markers(element('markers'));
  loupe = new Loupe(element('loupe'));
  isDue = false;

  constructor(app, desk) {
    Object.assign(this, { app, desk });
    this.landmarks = new LandmarkList(element('landmarks'), desk.landmarks, {
      choose: (index) => { app.choose(index); stage.focus(); },
      settle: (...choice) => { app.settle(...choice); stage.focus(); } });
    const parts = ['films', 'search', 'unfinished', 'noted', 'order', 'position'].map((id) => [id, element(id)]);
    this.films = new FilmList(Object.fromEntries(parts), desk, (number) => {
      if (number !== app.number) app.open(number);
      stage.focus();
    });
  }

  numbers() { return this.films.numbers; }

  /** Draw the film and its markers with the next frame. */
  redraw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.draw();
    });
  }

  draw() {
    const { app } = this, { film, view, on, looks } = app, marks = app.marks();
    this.painter.draw(film, view, looks);
    this.markers.draw(view, film && !on.hidden ? this.points(marks) : [], app.cross);
    if (on.loupe && film) this.loupe.show(film, view, looks, app.loupePoint());
    else this.loupe.hide();
    for (const name of ['names', 'keep']) element(name).setAttribute('aria-pressed', on[name]);
    element('invert').setAttribute('aria-pressed', looks.isInverted);
  }

  /** The points to be marked on the film; those of another page, that wait for a choice, with a question mark. */
  points(marks) {
    const { app, desk } = this, conflicts = desk.conflictsOf(app.number);
    return desk.landmarks.flatMap((name, index) => {
      const text = app.on.names ? `${index + 1} ${name}` : String(index + 1), isCurrent = index === app.current;
      const own = { index, text, point: marks[name], isCurrent };
      const others = (conflicts[name] ?? []).map((point) => ({ index, text: `${text} ?`, point, isCurrent: false }));
      const shown = app.offered(name).slice(0, index === app.current || !app.best(name) ? undefined : 1);
      const offered = shown.map(({ mark, by }, k) => (
        { index, text: by ? `${text} ${by}` : text, point: mark, isCurrent: isCurrent && !k, isOffered: true }));
      return [own, ...others, ...offered].filter(({ point }) => Array.isArray(point));
    });
  }

  /** Write the lists and what depends on them anew. */
  relist() {
    if (this.app.number === null) return;
    const { app, desk } = this, { landmarks } = desk, { number } = app, marks = app.marks();
    const offered = Object.fromEntries(landmarks.map((name) => [name, app.offered(name)]));
    this.landmarks.update(marks, desk.conflictsOf(number), app.current, offered);
    this.films.draw();
    this.offer(landmarks.filter((name) => app.best(name)).length);
    element('progress').textContent = `${desk.answeredOf(number)} of ${landmarks.length} set`
      + (desk.isAsked(number) ? ', the run is asked …' : '');
    const finished = desk.finished(), left = desk.minutesLeft(finished);
    element('finished').textContent = `${finished.length} of ${desk.images.length} finished${
      left ? `, about ${Math.max(Math.round(left), 1)} min left` : ''}`;
    element('problem').hidden = !app.problem;
    element('problem').textContent = `${app.problem}. The other films can be opened: n goes to the next.`;
    this.saved();
  }

  /** Offer to take all `n` that is offered. */
  offer(n) {
    element('take').hidden = !n;
    element('take').textContent = `Take ${n > 1 ? `all ${n}` : 'the one'} offered (t)`;
  }

  /** Say beside the film why it is worth a look; nothing where that is not known. */
  note(text) {
    element('note').hidden = !text;
    element('note').textContent = text ?? '';
  }

  /** Another film is opened. */
  reopen() {
    const { number } = this.app, { images } = this.desk;
    element('film-name').textContent = element('film-name').title = images[number];
    this.films.show(number);
    document.title = `${element('position').textContent} ${images[number]} – annotate`;
    this.note(this.desk.notes[number]);
    this.relist();
    this.redraw();
  }

  /** Say in the line below the film, also to a screen reader. */
  say(text, isWarning = false) {
    element('line').textContent = text;
    element('line').classList.toggle('warning', isWarning);
  }

  /** Say whether everything is saved. */
  saved() {
    const { waiting, savedAt, problem } = this.desk.outbox, saved = element('saved'), { isSaved } = this.app;
    saved.classList.toggle('waiting', !isSaved);
    if (isSaved) saved.textContent = savedAt ? `saved ${savedAt.toLocaleTimeString('en-GB')}` : 'all saved';
    else saved.textContent = `not saved yet (${Math.max(waiting.length, 1)})${problem && `: ${problem}`}`;
    saved.title = saved.textContent;
    for (const kind of ['undo', 'redo']) element(kind).disabled = this.desk.next(kind) === null;
  }

  help() { element('keys').showModal(); }

  find() { element('search').focus(); }

  leaveStage() { element('next').focus(); }
}

/** The buttons above and beside the film. */
function wire(app) {
  const actions = {
    previous: () => app.step(-1), next: () => app.step(1), undo: () => app.go('undo'), redo: () => app.go('redo'),
    smaller: () => app.zoom(0.8), fit: () => app.fit(), larger: () => app.zoom(1.25), keep: () => app.toggle('keep'),
    window: () => app.setWindow('own'), range: () => app.setWindow('range'), invert: () => app.toggle('invert'),
    names: () => app.toggle('names'), absent: () => app.answer('absent'), unclear: () => app.answer('unclear'),
    clear: () => app.clear(), take: () => app.acceptAll(), help: () => app.page.help() };
  for (const [id, run] of Object.entries(actions)) {
    element(id).addEventListener('click', (event) => {
      run();
      if (event.detail && id !== 'help') stage.focus(); // a mouse: the keys are for the film again
    });
  }
}

/** After a choice by mouse the keys are for the film again, and no letters for the list of choices. */
function release(select) {
  let isByPointer = false;
  select.addEventListener('pointerdown', () => { isByPointer = true; });
  select.addEventListener('keydown', () => { isByPointer = false; });
  select.addEventListener('change', () => { if (isByPointer) stage.focus(); });
}

/** What the outbox tells. */
function watch(desk, page) {
  const { outbox } = desk;
  desk.onMarks = () => { page.relist(); page.redraw(); };
  desk.onRunFailed = (number, message) => {
    if (number === page.app.number) page.say(`The run cannot tell: ${message}`, true);
  };
  let problem = '';
  outbox.onChange = () => {
    page.saved();
    if (outbox.problem && !problem) {
      page.say(outbox.unsafe ? `Leave this page open: the browser keeps nothing (${outbox.unsafe})`
        : 'What you do is kept in this browser, and saved as soon as it can be', true);
    }
    if (problem && !outbox.problem) page.say('Saving goes on');
    problem = outbox.problem;
  };
  outbox.onRefusal = (action, message) => {
    desk.onMarks();
    page.say(`Not kept, on ${desk.images[desk.numbers.get(action.image)]}: ${message}`, true);
  };
  outbox.onStale = () => {
    removeEventListener('beforeunload', warn); // what is not saved is on disk
    location.reload();
  };
  function warn(event) { if (!page.app.isSaved) event.preventDefault(); }
  addEventListener('beforeunload', warn);
}

async function start() {
  const desk = new Desk();
  await desk.open();
  const app = new App(desk, new Films(desk.films));
  const page = app.page = new Page(app, desk);
  const table = tableOf(app);
  describe(table, element('keys-table'));
  listen(table, stage);
  wire(app);
  release(element('order'));
  watch(desk, page);
  new Pointer(stage, app);
  for (const type of ['pointermove', 'pointerdown', 'keydown', 'wheel']) {
    addEventListener(type, () => desk.clock.touch(), { capture: true, passive: true });
  }
  new ResizeObserver(() => {
    app.view.resize({ stage: { width: stage.clientWidth, height: stage.clientHeight } });
    page.redraw();
  }).observe(stage);
  addEventListener('focus', () => app.comeBack().catch(() => {})); // the server may be away
  stage.focus();
  await desk.outbox.send(); // before anything that is done now
  await page.films.begin();
  const numbers = page.numbers();
  await app.open(numbers.find((number) => !desk.isFinished(number)) ?? numbers[0]);
}

start().catch((error) => { element('line').textContent = `annotate cannot start: ${error.message}`; });
