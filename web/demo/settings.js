// The settings sheet: nickname, what the overlay shows and how, whom to hide.
// In: stored values, people seen. Out: `onChange(settings)` and `onName(name)`.
import { t } from '../i18n.js';
import { fold, nameOf } from './event-text.js';
import { load, save } from './storage.js';

const KEY = 'barrage.settings';
const USERS_MAX = 200;
const WORDS_MAX = 200;
const DEFAULTS = { area: 0.75, opacity: 1, speed: 1, fontScale: 0.9, density: 1, delayMs: 0, blockWords: [], blockUsers: [], blockModes: [], readAloud: false };
const percent = (value) => `${Math.round(value * 100)}%`;
/** Name → least, most, step, how it is written. */
const SLIDERS = {
  area: [0.25, 1, 0.25, percent],
  opacity: [0.1, 1, 0.05, percent],
  speed: [0.5, 2, 0.1, (value) => `${value.toFixed(1)}×`],
  fontScale: [0.6, 2, 0.1, percent],
  density: [0.1, 1, 0.1, percent],
  delayMs: [0, 10_000, 250, (value) => `${(value / 1000).toFixed(2).replace(/\.?0+$/, '')} s`],
};
const MODES = ['scroll', 'top', 'bottom', 'reverse'];

export class Settings {
  #sheet; #form; #onChange; #onName; #people; #name;
  /** The values in force; `blockUsers` as `{id, name}`. */
  values = sane({ ...DEFAULTS, ...load(KEY, {}) });

  constructor({ sheet, form, opener, closer, people, onChange, onName }) {
    Object.assign(this, { opener });
    this.#sheet = sheet;
    this.#form = form;
    this.#people = people;
    this.#onChange = onChange;
    this.#onName = onName;
    opener.addEventListener('click', () => this.open());
    closer.addEventListener('click', () => sheet.close());
    sheet.addEventListener('click', (event) => { if (event.target === sheet) sheet.close(); });
    sheet.addEventListener('close', () => this.#named());
    form.addEventListener('submit', () => this.#named());
  }

  open(field) {
    this.#fill();
    this.#sheet.showModal();
    if (field) this.#form.elements[field]?.focus();
  }

  /** What the overlay takes. */
  get overlay() {
    const { readAloud, blockUsers, ...values } = this.values;
    return { ...values, blockUsers: blockUsers.map((user) => user.id) };
  }

  set name(name) { this.#name = name; }

  /** Whether the chat list may show an event. */
  accepts(event) {
    const { blockUsers, blockWords } = this.values;
    if (blockUsers.some((user) => user.id === event.user?.id)) return false;
    const text = fold(event.body?.text);
    return !blockWords.some((word) => fold(word) && text.includes(fold(word)));
  }

  block(user) {
    const others = this.values.blockUsers.filter(({ id }) => id !== user.id);
    this.#set({ blockUsers: [...others, { id: user.id, name: nameOf(user) }].slice(-USERS_MAX) });
  }

  #set(change) {
    this.values = sane({ ...this.values, ...change });
    save(KEY, this.values);
    this.#onChange(this.values);
  }

  #named() {
    const name = this.#form.elements.nickname?.value.trim();
    if (name && name !== this.#name) this.#onName((this.#name = name));
  }

  #fill() {
    const reset = button('pill reset', t('reset'), () => { this.#set({ ...DEFAULTS }); this.#fill(); });
    this.#form.replaceChildren(this.#nickname(), this.#sliders(), this.#hidden(), this.#access(), reset);
  }

  #nickname() {
    const input = field('input', { type: 'text', name: 'nickname', maxLength: 24, value: this.#name ?? '', autocomplete: 'nickname' });
    return group('', stack(t('nickname'), input, t('nicknameHint')));
  }

  #sliders() {
    const rows = Object.entries(SLIDERS).map(([name, [min, max, step, write]]) => {
      const row = document.createElement('label');
      row.className = 'row';
      const input = field('input', { type: 'range', name, min, max, step, value: this.values[name] });
      const output = document.createElement('output');
      const tell = () => { output.textContent = write(Number(input.value)); input.setAttribute('aria-valuetext', output.textContent); };
      input.addEventListener('input', () => { tell(); this.#set({ [name]: Number(input.value) }); });
      tell();
      row.append(words(t(name)), input, output);
      return row;
    });
    return group(t('display'), ...rows);
  }

  #hidden() {
    const list = field('textarea', { name: 'blockWords', rows: 3, value: this.values.blockWords.join('\n') });
    list.addEventListener('input', () => this.#set({ blockWords: list.value.split('\n') }));
    const modes = document.createElement('div');
    modes.className = 'choices';
    modes.append(...MODES.map((mode) => this.#mode(mode)));
    return group(t('hide'), stack(t('blockWords'), list, t('listHint')), this.#users(), labelled(t('blockModes'), modes));
  }

  #mode(mode) {
    const label = document.createElement('label');
    const input = field('input', { type: 'checkbox', name: 'blockModes', value: mode, checked: this.values.blockModes.includes(mode) });
    input.addEventListener('change', () => {
      const others = this.values.blockModes.filter((other) => other !== mode);
      this.#set({ blockModes: input.checked ? [...others, mode] : others });
    });
    label.append(input, words(t(mode)));
    return label;
  }

  /** Those hidden, each to be brought back, and a choice among those seen lately. */
  #users() {
    const row = document.createElement('div');
    row.className = 'choices';
    const again = () => box.replaceWith(this.#users());
    row.append(...this.values.blockUsers.map((user) => {
      const back = button('pill', `${user.name} ×`, () => {
        this.#set({ blockUsers: this.values.blockUsers.filter(({ id }) => id !== user.id) });
        again();
      });
      return back;
    }));
    const seen = [...this.#people()].filter(([id]) => !this.values.blockUsers.some((user) => user.id === id)).reverse();
    const choice = field('select', { name: 'blockUser', disabled: !seen.length });
    choice.setAttribute('aria-label', t('blockUsers'));
    choice.append(new Option(t('blockChoose'), ''), ...seen.map(([id, name]) => new Option(name, id)));
    choice.addEventListener('change', () => {
      if (choice.value) this.block({ id: choice.value, name: choice.selectedOptions[0].text });
      again();
    });
    row.append(choice);
    const box = labelled(t('blockUsers'), row);
    return box;
  }

  #access() {
    const label = document.createElement('label');
    label.className = 'check';
    const input = field('input', { type: 'checkbox', name: 'readAloud', checked: this.values.readAloud });
    input.addEventListener('change', () => this.#set({ readAloud: input.checked }));
    label.append(input, words(t('readAloud')));
    return group(t('accessibility'), label);
  }
}

/** Stored values may be of any age or make: each is checked. */
function sane(values) {
  const clean = { ...DEFAULTS };
  for (const [name, [min, max]] of Object.entries(SLIDERS)) {
    if (Number.isFinite(values[name])) clean[name] = Math.min(max, Math.max(min, values[name]));
  }
  const list = (value) => (Array.isArray(value) ? value : []);
  clean.blockWords = list(values.blockWords).map((word) => String(word).trim()).filter(Boolean).slice(0, WORDS_MAX);
  clean.blockUsers = list(values.blockUsers).filter((user) => typeof user?.id === 'string').slice(-USERS_MAX);
  clean.blockModes = list(values.blockModes).filter((mode) => MODES.includes(mode));
  clean.readAloud = values.readAloud === true;
  return clean;
}

const field = (tag, values) => Object.assign(document.createElement(tag), values);

function words(text) {
  const element = document.createElement('span');
  element.textContent = text;
  return element;
}

function group(title, ...parts) {
  const element = document.createElement('fieldset');
  if (title) element.append(Object.assign(document.createElement('legend'), { textContent: title }));
  element.append(...parts);
  return element;
}

function stack(title, input, hint) {
  const label = document.createElement('label');
  label.className = 'stack';
  label.append(words(title), input, Object.assign(document.createElement('small'), { textContent: hint }));
  return label;
}

function labelled(title, content) {
  const element = document.createElement('div');
  element.className = 'stack';
  element.setAttribute('role', 'group');
  element.setAttribute('aria-label', title);
  element.append(words(title), content);
  return element;
}

function button(className, text, onClick) {
  const element = field('button', { type: 'button', className, textContent: text });
  element.addEventListener('click', onClick);
  return element;
}
