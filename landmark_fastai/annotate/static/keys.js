/** What each key does, in one table, from which the help is made as well. */

const STEP = { plain: 1, alt: 0.1, shift: 10, both: 100 }; // px of the film
const TOGETHER = 700; // ms within which two digits are one number

/** The keys of an app: {keys, shown, does, run, release, onStage}; `shown` where that is not the first of `keys`. */
export function tableOf(app) {
  return [
    { keys: [], shown: 'Click', does: 'place the landmark whose turn it is' },
    { keys: ['Enter'], does: 'place it at the cross of the arrow keys', run: () => app.placeAtCross(), onStage: true },
    { keys: ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'], shown: 'Arrow keys',
      does: 'move the point, or the cross: 1 px; Alt 0.1, Shift 10, both 100', onStage: true,
      run: (event) => app.nudge(...shift(event)), release: () => app.commit() },
    { keys: ['Tab', 'Shift-Tab'], shown: 'Tab', does: 'choose the next landmark, with Shift the one before',
      run: (event) => app.chooseBy(event.shiftKey ? -1 : 1), onStage: true },
    { keys: [...'0123456789'], shown: '1 … 9', does: 'choose a landmark by its number; 1 and 2 at once: 12',
      run: digits(app) },
    { keys: ['a'], does: 'absent: it is not on this film', run: () => app.answer('absent') },
    { keys: ['x'], does: 'cannot be judged', run: () => app.answer('unclear') },
    { keys: ['y'], does: 'take what is offered, drawn as dots, for the landmark', run: () => app.accept() },
    { keys: ['t'], does: 'take all that is offered', run: () => app.acceptAll() },
    { keys: ['Backspace', 'Delete'], does: 'clear', run: () => app.clear() },
    { keys: ['s'], does: 'skip to the next landmark that is not set', run: () => app.skip() },
    { keys: ['u', 'b', 'Ctrl-z'], shown: 'u, b, Ctrl-Z', does: 'undo, over films and days', run: () => app.go('undo') },
    { keys: ['Ctrl-y', 'Ctrl-Shift-z'], shown: 'Ctrl-Y', does: 'redo', run: () => app.go('redo') },
    { keys: ['n', 'PageDown'], shown: 'n', does: 'next film', run: () => app.step(1) },
    { keys: ['p', 'PageUp'], shown: 'p', does: 'previous film', run: () => app.step(-1) },
    { keys: ['/'], does: 'find a film by its name: Enter opens it, Escape comes back', run: () => app.page.find() },
    { keys: [], shown: 'Wheel', does: 'zoom to the cursor; two fingers pinch' },
    { keys: [], shown: 'Drag', does: 'a marker moves it, the film pans' },
    { keys: ['f'], does: 'fit the film', run: () => app.fit() },
    { keys: ['+', '='], does: 'zoom in', run: () => app.zoom(1.25) },
    { keys: ['-'], does: 'zoom out', run: () => app.zoom(0.8) },
    { keys: ['c'], does: 'centre on the landmark', run: () => app.centre() },
    { keys: ['v'], does: 'keep the view from film to film', run: () => app.toggle('keep') },
    { keys: [], shown: 'Right drag', does: 'or Shift and drag: width and level of the window' },
    { keys: ['w'], does: "the film's own window", run: () => app.setWindow('own') },
    { keys: ['r'], does: 'window over all grey values', run: () => app.setWindow('range') },
    { keys: ['i'], does: 'invert', run: () => app.toggle('invert') },
    { keys: ['g'], does: 'names beside the markers', run: () => app.toggle('names') },
    { keys: ['h'], shown: 'h held', does: 'hide all markers', run: () => app.hold('hidden', true),
      release: () => app.hold('hidden', false) },
    { keys: ['l'], shown: 'l held', does: 'loupe', run: () => app.hold('loupe', true),
      release: () => app.hold('loupe', false) },
    { keys: ['Escape'], does: 'leave the film, to its buttons', run: () => app.leaveStage(), onStage: true },
    { keys: ['?'], does: 'this help', run: () => app.page.help() },
    { keys: ['q'], does: 'tell whether all is saved, so that the page can be closed', run: () => app.quit() },
  ];
}

/** Listen to the keys of a table, but for those that are typed into fields, or belong to a button. */
export function listen(table, stage) {
  const rows = new Map(table.flatMap((row) => row.keys.map((key) => [key, row])));
  const held = new Map(); // rows whose key is down, to be released, by key
  const release = (code) => {
    held.get(code)?.release();
    held.delete(code);
  };
  addEventListener('keydown', (event) => {
    const row = rows.get(nameOf(event));
    if (!row || event.target.closest('input:not([type=checkbox]), select, dialog')) return;
    const isOnStage = event.target === stage || event.target === document.body;
    if (row.onStage && !isOnStage) return;
    event.preventDefault();
    if (row.release) {
      if (held.has(event.code) && !row.onStage) return; // a key that is held repeats itself
      held.set(event.code, row);
    }
    row.run(event);
  });
  addEventListener('keyup', (event) => release(event.code));
  addEventListener('blur', () => [...held.keys()].forEach(release));
}

/** A key as the table has it. */
function nameOf({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (ctrlKey || metaKey) return `Ctrl-${shiftKey ? 'Shift-' : ''}${name}`;
  if (key === 'Tab' && shiftKey) return 'Shift-Tab';
  return altKey && !key.startsWith('Arrow') ? '' : name;
}

/** What an arrow key moves a point by. */
function shift({ key, altKey, shiftKey }) {
  const step = STEP[altKey && shiftKey ? 'both' : altKey ? 'alt' : shiftKey ? 'shift' : 'plain'];
  return { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[key];
}

/** What chooses a landmark by the digits of its number. */
function digits(app) {
  let number = 0, at = -Infinity;
  return (event) => {
    const digit = Number(event.key), together = event.timeStamp - at < TOGETHER ? 10 * number + digit : digit;
    number = together <= app.desk.landmarks.length ? together : digit;
    at = event.timeStamp;
    if (number >= 1 && number <= app.desk.landmarks.length) app.choose(number - 1);
  };
}

/** Write a table of keys into an element. */
export function describe(table, element) {
  element.replaceChildren(...table.map(({ keys, shown, does }) => {
    const row = document.createElement('div'), key = document.createElement('kbd');
    key.textContent = shown ?? keys[0];
    row.append(key, does);
    return row;
  }));
}
