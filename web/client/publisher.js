/**
 * Publishes of one room, each sent until it is answered. A publish that was
 * under way when the connection ended goes out again after the rejoin, with
 * the same key, so that it shows once.
 */
import { BarrageError } from './error.js';
import { Disconnected } from './commands.js';

const PENDING_MAX = 32;
const DEADLINE_MS = 10_000;
const KEY_CHARS_MAX = 64;

export class Publisher {
  /** By key, in the order of publishing. */
  #entries = new Map();
  #room;
  #clock;
  #commands;
  #ready = false;
  #keysMade = 0;

  constructor(room, clock, commands) {
    this.#room = room;
    this.#clock = clock;
    this.#commands = commands;
  }

  /** `published(event)` is called before the promise resolves. */
  publish(body, { kind = 'chat', key = this.#makeKey() }, published) {
    return new Promise((resolve, reject) => {
      if (typeof key !== 'string' || key.length === 0 || [...key].length > KEY_CHARS_MAX) {
        throw new BarrageError('bad_request', 'key must be a string of 1 to 64 characters');
      }
      if (this.#entries.has(key)) throw new BarrageError('duplicate', 'this key is under way');
      if (this.#entries.size >= PENDING_MAX) throw new BarrageError('busy', 'too many publishes wait');
      const timer = this.#clock.setTimeout(
        () => this.#settle(key, new BarrageError('unavailable', 'not confirmed in time')),
        DEADLINE_MS,
      );
      const fields = { type: 'publish', room: this.#room, kind, body, key };
      this.#entries.set(key, { fields, sent: false, timer, resolve, reject, published });
      this.#flush();
    });
  }

  /** The room is joined: sends everything that has no answer yet. */
  ready() {
    this.#ready = true;
    this.#flush();
  }

  notReady() {
    this.#ready = false;
  }

  /** Rejects everything that waits. */
  stop(error) {
    this.#ready = false;
    for (const key of [...this.#entries.keys()]) this.#settle(key, error);
  }

  #flush() {
    if (!this.#ready) return;
    for (const [key, entry] of [...this.#entries]) {
      if (entry.sent) continue;
      entry.sent = true;
      this.#commands.send(entry.fields, (error, reply) => this.#answered(key, entry, error, reply));
    }
  }

  #answered(key, entry, error, reply) {
    if (this.#entries.get(key) !== entry) return;
    if (error instanceof Disconnected) entry.sent = false;
    else this.#settle(key, error, reply);
  }

  #settle(key, error, reply) {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#clock.clearTimeout(entry.timer);
    if (error !== undefined) return entry.reject(error);
    if (reply.event) entry.published(reply.event);
    entry.resolve({ event: reply.event, stored: reply.stored !== false });
  }

  /** Unique per user and room for a minute is enough; 104 random bits are plenty. */
  #makeKey() {
    const part = () => Math.floor(this.#clock.random() * 2 ** 52).toString(36);
    this.#keysMade += 1;
    return `${this.#clock.now().toString(36)}-${this.#keysMade.toString(36)}-${part()}${part()}`;
  }
}
