// The line to write in: text, looks (colour, place, size), what is left of 200
// characters, and what became of it. In: `send(body)`, a promise. Out: DOM.
import { has, lang, t } from '../i18n.js';
import { load, save } from './storage.js';

export const CHARS_MAX = 200;
const NEAR = 20;
const HINT_MS = 3500;
const KEY = 'barrage.looks';
const LOOKS = {
  color: [['white', '#ffffff'], ['gold', '#ffd166'], ['coral', '#ff8a5c'], ['rose', '#ff7eb6'], ['violet', '#c49bff'], ['sky', '#6cc8ff'], ['mint', '#5ff0c0'], ['lime', '#c8f05a']],
  mode: [['scroll', 'scroll'], ['top', 'top'], ['bottom', 'bottom'], ['reverse', 'reverse']],
  size: [['small', 'small'], ['medium', 'medium'], ['large', 'large']],
};

export class Composer {
  #form; #text; #left; #hint; #looks; #opener; #swatch; #send; #submit;
  #hintTimer = 0;
  #look = { color: '#ffffff', mode: 'scroll', size: 'medium', ...load(KEY, {}) };

  constructor({ form, send }) {
    const find = (id) => form.querySelector(`#${id}`);
    this.#form = form;
    this.#send = send;
    [this.#text, this.#left, this.#hint, this.#looks, this.#opener, this.#swatch, this.#submit] = ['text', 'left', 'hint', 'looks', 'open-looks', 'swatch', 'send'].map(find);
    form.addEventListener('submit', (event) => { event.preventDefault(); this.#submitText(); });
    this.#text.addEventListener('input', () => this.#count());
    this.#opener.addEventListener('click', () => this.#toggle(this.#looks.hidden));
    this.#looks.addEventListener('change', (event) => this.#choose(event.target));
    this.#looks.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); this.#toggle(false); this.focus(); } });
    form.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !this.#looks.hidden) { this.#toggle(false); this.#opener.focus(); } });
    document.addEventListener('pointerdown', (event) => {
      if (!this.#looks.contains(event.target) && !this.#opener.contains(event.target)) this.#toggle(false);
    });
    this.refresh();
  }

  focus() { this.#text.focus(); }

  /** Fills the words again, after the language has changed. */
  refresh() {
    this.#looks.replaceChildren(...Object.keys(LOOKS).map((name) => this.#choices(name)));
    this.#paint();
    this.#count();
  }

  /** Says something above the line for a moment; `ms` 0 keeps it. */
  hint(text, ms = HINT_MS) {
    clearTimeout(this.#hintTimer);
    this.#hint.textContent = text;
    if (ms) this.#hintTimer = setTimeout(() => { this.#hint.textContent = ''; }, ms);
  }

  /** Empties the line at once, so that the next text can be written; a refused one comes back. */
  async #submitText() {
    const text = this.#text.value.trim();
    if (!text) return this.focus();
    if ([...text].length > CHARS_MAX) return this.hint(t('tooLong', { n: CHARS_MAX }));
    this.#text.value = '';
    this.#count();
    try {
      await this.#send({ text, ...this.#look });
      this.hint('', 0);
    } catch (error) {
      const free = this.#text.value === '';
      if (free) this.#text.value = text;
      this.#count();
      this.hint(free ? refusal(error) : `${refusal(error)} · “${text}”`, Math.max(HINT_MS, Math.min(error.retryAfterMs ?? 0, 10_000)));
    }
    return undefined;
  }

  #count() {
    const left = CHARS_MAX - [...this.#text.value.trim()].length;
    this.#left.textContent = left;
    this.#left.setAttribute('aria-label', t('left', { n: left }));
    this.#left.classList.toggle('near', left <= NEAR && left >= 0);
    this.#left.classList.toggle('over', left < 0);
    this.#submit.setAttribute('aria-disabled', String(left === CHARS_MAX || left < 0));
  }

  #toggle(open) {
    if (this.#looks.hidden === !open) return;
    this.#looks.hidden = !open;
    this.#opener.setAttribute('aria-expanded', String(open));
    if (open) this.#looks.querySelector('input:checked')?.focus();
  }

  #choose({ name, value }) {
    this.#look[name] = value;
    save(KEY, this.#look);
    this.#paint();
  }

  #paint() {
    this.#swatch.style.background = this.#look.color;
  }

  #choices(name) {
    const group = document.createElement('fieldset');
    const legend = document.createElement('legend');
    legend.textContent = t(name);
    const row = document.createElement('div');
    row.className = 'choices';
    row.append(...LOOKS[name].map(([word, value]) => choice({ name, word, value, checked: this.#look[name] === value })));
    group.append(legend, row);
    return group;
  }
}

function choice({ name, word, value, checked }) {
  const label = document.createElement('label');
  const input = document.createElement('input');
  Object.assign(input, { type: 'radio', name, value, checked });
  const face = document.createElement('span');
  if (name === 'color') {
    face.className = 'colour';
    face.style.setProperty('--dot', value);
    input.setAttribute('aria-label', t(word));
    label.title = t(word);
  } else face.textContent = t(word);
  label.append(input, face);
  return label;
}

/** A refusal in words: our own where there are any, else the server's. */
function refusal({ code, message, retryAfterMs }) {
  if (code === 'slow_mode' || code === 'rate_limited') return t(code, { s: Math.max(1, Math.ceil((retryAfterMs ?? 1000) / 1000)) });
  if (has(code)) return t(code);
  return t('refused', { message: lang() === 'en' ? message : `${code} ${message}` });
}
