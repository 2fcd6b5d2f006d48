// The chat list of the overlay page: the newest lines at the bottom, a bounded
// number of them, faded after a while if so wished.
import { hueOf, isColor, nameOf, plain } from '../demo/event-text.js';

const FADE_OUT_MS = 1_000;

export class LineList {
  #list; #linesMax; #fadeMs;

  constructor(list, { linesMax, fadeMs }) {
    this.#list = list;
    this.#linesMax = linesMax;
    this.#fadeMs = fadeMs;
  }

  get length() { return this.#list.children.length; }

  add(event) {
    const line = document.createElement('li');
    line.dataset.id = event.id;
    line.dataset.user = event.user?.id ?? '';
    const name = element('name', nameOf(event.user));
    name.style.setProperty('--h', hueOf(event.user));
    const text = element('text', plain(event.body?.text));
    if (isColor(event.body?.color)) text.style.color = event.body.color;
    line.append(name, text);
    this.#append(line);
  }

  /** A quiet line that nobody has written. */
  note(text) {
    this.#append(Object.assign(document.createElement('li'), { className: 'quiet', textContent: text }));
  }

  takeBack({ ids, user, all }) {
    for (const line of [...this.#list.children]) {
      if (all || (ids ? ids.includes(line.dataset.id) : line.dataset.user === user)) line.remove();
    }
  }

  #append(line) {
    this.#list.append(line);
    while (this.length > this.#linesMax) this.#list.firstElementChild.remove();
    if (this.#fadeMs) this.#fade(line);
  }

  #fade(line) {
    setTimeout(() => line.classList.add('old'), this.#fadeMs);
    setTimeout(() => line.remove(), this.#fadeMs + FADE_OUT_MS);
  }
}

function element(className, text) {
  return Object.assign(document.createElement('span'), { className, textContent: text });
}
