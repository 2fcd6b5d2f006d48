// The chat list: lines in the order of the room, never more than 200, at the
// pace of the tick. In: events and accounts of a room. Out: DOM, by text only.
import { amountOf, colorOf, giftOf, hueOf, nameOf, plain, takenBack } from './event-text.js';
import { has, number, t } from '../i18n.js';

const LINES_MAX = 200;
const WAITING_MAX = 400;
const PACE_MS = 90;
const QUIET_WINDOW_MS = 10_000;
const BOTTOM_PX = 48;
const SEEN_MAX = 60; // people offered in the settings

export class ChatList {
  #list; #scroller; #newer; #accept; #onBlock;
  #waiting = []; #due = 0; #timer = 0; #stuck = true; #unread = 0; #quiet = null;
  /** People who wrote lately: id → name. */
  people = new Map();
  /** The viewer's own user id, once known. */
  ownId;

  constructor({ list, scroller, newer, accept, onBlock }) {
    this.#list = list;
    this.#scroller = scroller;
    this.#newer = newer;
    this.#accept = accept;
    this.#onBlock = onBlock;
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    newer.addEventListener('click', () => { this.#toBottom(); scroller.focus(); });
    new ResizeObserver(() => { if (this.#stuck) this.#toBottom(); }).observe(scroller);
  }

  get lines() { return this.#list.children.length; }

  /** Adds events: own and old ones at once, others spread over the tick. */
  push(events, { tickMs = 0, self = false, replay = false } = {}) {
    if (self || replay || document.hidden || tickMs < PACE_MS * 2) {
      if (!self) this.#flush();
      this.#append(events.map((event) => this.#line(event, self)));
      return;
    }
    this.#waiting.push(...events);
    if (this.#waiting.length > WAITING_MAX) this.#append(this.#waiting.splice(0, this.#waiting.length - WAITING_MAX).map((event) => this.#line(event)));
    this.#due = performance.now() + tickMs;
    if (!this.#timer) this.#timer = setInterval(() => this.#drip(), PACE_MS);
  }

  /** A quiet line in the middle, such as "a moderator cleared the chat". */
  note(text) {
    const line = item('line quiet');
    line.textContent = text;
    this.#append([line]);
    return line;
  }

  /** "N left out": one line per ten seconds, counting up. */
  leftOut(count) { this.#count('leftOut', count, {}); }

  /** "N missed", or "some" where nobody knows how many; one line for each reason. */
  gap(count, reason) {
    const key = `gap${reason[0]?.toUpperCase()}${reason.slice(1)}`;
    const words = has(key) ? t(key) : plain(reason);
    this.#count(count > 0 ? 'gap' : 'gapUnknown', count, { reason: words });
  }

  /** Takes back what `takenBack` says. */
  takeBack({ ids, user, all }) {
    const gone = (line) => all || (ids ? ids.includes(line.dataset.id) : line.dataset.user === user);
    this.#waiting = this.#waiting.filter((event) => !(all || (ids ? ids.includes(event.id) : event.user?.id === user)));
    for (const line of [...this.#list.children]) if (gone(line)) line.remove();
  }

  /** Behind the events that still wait for their time, so that it stands below them. */
  #count(kind, count, values) {
    if (this.#waiting.length) this.#waiting.push({ account: { kind, count, values } });
    else this.#append([this.#accountLine({ kind, count, values })]);
  }

  /** The last line of this kind counts on and moves to the end while it is young, else a new one begins. */
  #accountLine({ kind, count, values }) {
    const now = performance.now();
    const old = this.#quiet;
    if (old?.kind !== kind || old.reason !== values.reason || now - old.at > QUIET_WINDOW_MS || !old.line.isConnected) {
      this.#quiet = { kind, reason: values.reason, at: now, count: 0, line: item('line quiet') };
    }
    this.#quiet.count += count;
    this.#quiet.line.textContent = t(kind, { n: number(this.#quiet.count), ...values });
    return this.#quiet.line;
  }

  #drip() {
    const turns = Math.max(1, Math.round((this.#due - performance.now()) / PACE_MS));
    const now = document.hidden ? this.#waiting.length : Math.ceil(this.#waiting.length / turns);
    this.#append(this.#waiting.splice(0, now).map((event) => this.#line(event)));
    if (this.#waiting.length) return;
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  #flush() {
    if (this.#waiting.length) this.#append(this.#waiting.splice(0).map((event) => this.#line(event)));
  }

  #append(lines) {
    const shown = lines.filter(Boolean);
    if (!shown.length) return;
    this.#list.append(...shown.slice(-LINES_MAX));
    while (this.lines > LINES_MAX) this.#list.firstElementChild.remove();
    if (this.#stuck) return void this.#toBottom();
    this.#unread += shown.length;
    this.#newer.hidden = false;
    this.#newer.replaceChildren(icon('down'), t('newer', { n: number(this.#unread) }));
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#stuck = scrollHeight - scrollTop - clientHeight < BOTTOM_PX;
    if (!this.#stuck) return;
    this.#unread = 0;
    this.#newer.hidden = true;
  }

  #toBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#stuck = true;
    this.#unread = 0;
    this.#newer.hidden = true;
  }

  #line(event, self = false) {
    if (event.account) return this.#accountLine(event.account);
    if (takenBack(event) || !this.#accept(event)) return null;
    const make = Object.hasOwn(LINES, event.kind) ? LINES[event.kind] : undefined;
    const line = make?.(event);
    if (!line) return null;
    line.dataset.id = event.id;
    line.dataset.user = event.user?.id ?? '';
    const own = self || (this.ownId !== undefined && event.user?.id === this.ownId);
    line.classList.toggle('own', own);
    line.classList.add('fresh');
    if (event.user?.id && !own && event.kind !== 'system') this.#know(event.user, line);
    return line;
  }

  /** Remembers who wrote, and lets a click on the name offer to hide them. */
  #know(user, line) {
    this.people.delete(user.id);
    this.people.set(user.id, nameOf(user));
    if (this.people.size > SEEN_MAX) this.people.delete(this.people.keys().next().value);
    const button = line.querySelector('.name button');
    button?.addEventListener('click', () => {
      const hide = document.createElement('button');
      hide.type = 'button';
      hide.className = 'tag';
      hide.textContent = t('block', { name: nameOf(user) });
      hide.addEventListener('click', () => this.#onBlock(user));
      button.parentElement.after(hide);
    }, { once: true });
  }
}

/** Kind of event → its line, or nothing. */
const LINES = {
  chat(event) {
    const line = item('line');
    const color = colorOf(event.body);
    const dot = color.toLowerCase() === '#ffffff' ? '' : span('dot', '');
    if (dot) dot.style.setProperty('--dot', color);
    line.append(...tags(event.user), who(event.user), dot, span('text', plain(event.body?.text)));
    return line;
  },
  gift(event) {
    const line = item('line card');
    line.style.setProperty('--card', '#e05fb0');
    line.append(who(event.user), span('text', t('gift', giftOf(event.body))));
    return line;
  },
  paid(event) {
    const line = item('line card');
    line.append(span('amount', amountOf(event.body)), who(event.user), span('text', plain(event.body?.text ?? event.body?.message)));
    return line;
  },
  enter(event) {
    const line = item('line quiet');
    line.textContent = t('entered', { name: nameOf(event.user) });
    return line;
  },
  system: announcement,
  notice: announcement,
};

function announcement(event) {
  const text = plain(event.body?.text ?? event.body?.message);
  if (!text) return null;
  const line = item('line card');
  line.style.setProperty('--card', '#4aa3ff');
  line.append(span('tag', t(event.kind)), span('text', text));
  return line;
}

function tags(user) {
  const roles = Array.isArray(user?.roles) ? user.roles : [];
  const staff = roles.find((role) => ['owner', 'moderator', 'mod'].includes(role));
  const found = [];
  if (staff) found.push(span('tag staff', plain(staff).toUpperCase()));
  return found;
}

function who(user) {
  const name = span('name', '');
  const button = document.createElement('button');
  button.type = 'button';
  button.tabIndex = -1; // the settings offer the same to keyboards
  const [, shown, simulated] = /^(.*?)( ?\(sim\))?$/su.exec(nameOf(user));
  button.textContent = shown;
  if (simulated) button.append(Object.assign(document.createElement('small'), { textContent: 'sim' }));
  name.style.setProperty('--h', hueOf(user));
  name.append(button);
  return name;
}

function item(className) {
  const element = document.createElement('li');
  element.className = className;
  return element;
}

function span(className, text) {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}

function icon(name) {
  const element = document.createElement('i');
  element.className = `icon icon-${name}`;
  element.setAttribute('aria-hidden', 'true');
  return element;
}
