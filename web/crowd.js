// A simulated crowd: some thirty real connections made by this page, each with a
// name that ends in "(sim)", that write and like now and then and cheer when the
// picture has a moment. In: `start`, `cheer`, `stop`. Out: traffic, `size`.
import { BarrageClient } from './barrage.js';
import { COLORS, LINES, MOMENTS, NAMES, Bag } from './crowd/lines.js';

const SIZE = 30;
const STAGGER_MS = 90; // thirty connections within three seconds
const PAUSE_MS = [2_000, 7_500]; // between two lines of one person
const REST_MS = 1_250; // a gateway takes 5 publishes per 5 s from one user
const CHEER_SHARE = 0.6;
const LIKE_SHARE = 0.3;

export class Crowd {
  #lines = { zh: new Bag(LINES.zh), en: new Bag(LINES.en) };
  #url; #room; #onSize; #people = []; #timers = new Set(); #running = false;

  constructor({ url, room, onSize }) {
    this.#url = url;
    this.#room = room;
    this.#onSize = onSize;
  }

  get running() { return this.#running; }
  get size() { return this.#people.filter((person) => person.online).length; }

  start() {
    if (this.#running) return;
    this.#running = true;
    const names = new Bag(NAMES);
    Array.from({ length: SIZE }, () => names.next()).forEach((name, index) => this.#later(index * STAGGER_MS, () => this.#enter(name)));
  }

  stop() {
    this.#running = false;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const { client } of this.#people.splice(0)) client.close();
    this.#onSize(0);
  }

  /** Many react to a moment of the picture, each a little later than the other. */
  cheer(moment) {
    const cheers = { zh: new Bag(MOMENTS[moment].zh), en: new Bag(MOMENTS[moment].en) };
    for (const person of this.#people) {
      if (Math.random() < CHEER_SHARE) this.#later(400 + Math.random() * 3_200, () => this.#say(person, cheers[person.tongue].next()));
    }
  }

  #enter(name) {
    const client = new BarrageClient({ url: this.#url, name: `${name} (sim)` });
    const person = { client, room: client.join(this.#room), online: false, saidAt: 0, tongue: /\p{Script=Han}/u.test(name) ? 'zh' : 'en' };
    client.on('status', ({ state }) => {
      person.online = state === 'online';
      this.#onSize(this.size);
    });
    this.#people.push(person);
    this.#later(500 + Math.random() * 2_500, () => this.#live(person));
  }

  #live(person) {
    this.#say(person, this.#lines[person.tongue].next());
    if (Math.random() < LIKE_SHARE) person.room.like(1 + Math.floor(Math.random() * 3));
    const [least, most] = PAUSE_MS;
    this.#later(least + Math.random() * (most - least), () => this.#live(person));
  }

  #say(person, text) {
    const now = performance.now();
    if (!text || !person.online || now - person.saidAt < REST_MS) return;
    person.saidAt = now;
    person.room.publish({ text, ...look() }).catch(() => { /* a refused line of a crowd is no loss */ });
  }

  #later(delayMs, run) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#running) run();
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** Mostly white and scrolling, as in a real room. */
function look() {
  const place = Math.random();
  const tall = Math.random();
  return {
    color: Math.random() < 0.55 ? '#ffffff' : pick(COLORS),
    mode: place < 0.88 ? 'scroll' : place < 0.94 ? 'top' : place < 0.98 ? 'bottom' : 'reverse',
    size: tall < 0.14 ? 'small' : tall < 0.92 ? 'medium' : 'large',
  };
}

const pick = (list) => list[Math.floor(Math.random() * list.length)];
