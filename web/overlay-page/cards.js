// Gift, paid and system cards: a few at a time, the rest waits in a bounded
// queue; the same gift from the same person counts up on one card.
import { amountOf, giftOf, nameOf, plain } from '../demo/event-text.js';
import { t } from '../i18n.js';

const CARDS_MAX = 3;
const WAITING_MAX = 50;
const STAY_MS = { gift: 6_000, paid: 14_000, system: 10_000 };
const LEAVE_MS = 400;

export class Cards {
  #stack; #shown = []; #waiting = [];

  constructor(stack) { this.#stack = stack; }

  add(event) {
    const { kind } = event;
    const combo = kind === 'gift' ? `${event.user?.id}/${giftOf(event.body).gift}` : event.id;
    const same = [...this.#shown, ...this.#waiting].find((card) => card.combo === combo);
    if (same) return this.#more(same, event);
    const card = { id: event.id, user: event.user?.id, kind, combo, event, count: kind === 'gift' ? giftOf(event.body).n : 0, element: null, timer: 0 };
    this.#waiting.push(card);
    if (this.#waiting.length > WAITING_MAX) this.#waiting.splice(this.#leastWorth(), 1);
    return this.#next();
  }

  takeBack({ ids, user, all }) {
    const gone = (card) => all || (ids ? ids.includes(card.id) : card.user === user);
    this.#waiting = this.#waiting.filter((card) => !gone(card));
    for (const card of this.#shown.filter(gone)) this.#leave(card);
  }

  /** The oldest gift goes before any paid message. */
  #leastWorth() {
    const gift = this.#waiting.findIndex((card) => card.kind === 'gift');
    return Math.max(0, gift);
  }

  /** A gift's `combo_total` is the count so far where the sender counts; else counts add up. */
  #more(card, event) {
    const total = event.body?.combo_total;
    card.count = Number.isFinite(total) ? total : card.count + giftOf(event.body).n;
    if (!card.element) return;
    card.element.querySelector('.amount').textContent = `×${card.count}`;
    card.element.classList.remove('more');
    void card.element.offsetWidth; // starts the animation again
    card.element.classList.add('more');
    this.#stay(card);
  }

  #next() {
    while (this.#shown.length < CARDS_MAX && this.#waiting.length) {
      const card = this.#waiting.shift();
      card.element = draw(card);
      this.#stack.append(card.element);
      this.#shown.push(card);
      this.#stay(card);
    }
  }

  #stay(card) {
    clearTimeout(card.timer);
    card.timer = setTimeout(() => this.#leave(card), STAY_MS[card.kind] ?? STAY_MS.gift);
  }

  #leave(card) {
    clearTimeout(card.timer);
    this.#shown = this.#shown.filter((other) => other !== card);
    card.element.classList.add('leaving');
    setTimeout(() => { card.element.remove(); this.#next(); }, LEAVE_MS);
  }
}

function draw({ kind, event, count }) {
  const card = Object.assign(document.createElement('article'), { className: `card ${kind === 'notice' ? 'system' : kind}` });
  const part = (tag, className, text) => card.append(Object.assign(document.createElement(tag), { className, textContent: text }));
  const body = event.body ?? {};
  if (kind === 'gift') {
    part('b', 'name', nameOf(event.user));
    part('span', 'amount', `×${count}`);
    part('span', 'text', giftOf(body).gift);
  } else if (kind === 'paid') {
    part('b', 'name', nameOf(event.user));
    part('span', 'amount', amountOf(body));
    part('span', 'text', plain(body.text ?? body.message));
  } else {
    part('b', 'name', t(kind === 'notice' ? 'notice' : 'system'));
    part('span', 'text', plain(body.text ?? body.message));
  }
  return card;
}
