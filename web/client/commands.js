/**
 * Commands that wait for their one reply, by id. Replies are handed over at
 * once, not in a later microtask: a batch may follow its `joined` in the same
 * read of the socket.
 */
import { BarrageError } from './error.js';

const PENDING_MAX = 128;
const TIMEOUT_MS = 10_000;

/** The connection ended before the reply: nobody knows what became of the command. */
export class Disconnected extends BarrageError {
  constructor() {
    super('unavailable', 'the connection was lost');
  }
}

export class Commands {
  #pending = new Map();
  #nextId = 1;
  #clock;
  #transmit;

  /** `transmit(frame)` says whether the frame went out. */
  constructor(clock, transmit) {
    this.#clock = clock;
    this.#transmit = transmit;
  }

  /** Sends a command; `done(error, reply)` is called exactly once. */
  send(fields, done) {
    if (this.#pending.size >= PENDING_MAX) return done(new BarrageError('busy', 'too many commands wait'));
    const id = this.#nextId++;
    if (!this.#transmit({ ...fields, id })) return done(new Disconnected());
    const timer = this.#clock.setTimeout(() => {
      this.#pending.delete(id);
      done(new BarrageError('unavailable', 'no reply in time', 1_000));
    }, TIMEOUT_MS);
    this.#pending.set(id, { done, timer });
  }

  /** Whether the frame was the reply to a command. */
  settle(frame) {
    const entry = this.#pending.get(frame.id);
    if (entry === undefined) return false;
    this.#pending.delete(frame.id);
    this.#clock.clearTimeout(entry.timer);
    if (frame.type === 'error') entry.done(BarrageError.fromFrame(frame));
    else entry.done(undefined, frame);
    return true;
  }

  disconnected() {
    const entries = [...this.#pending.values()];
    this.#pending.clear();
    for (const { done, timer } of entries) {
      this.#clock.clearTimeout(timer);
      done(new Disconnected());
    }
  }
}
