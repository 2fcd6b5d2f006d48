/** A clock that only moves when a test moves it; timers fire in order of time. */
export class FakeClock {
  #nowMs;
  #timers = new Map();
  #nextId = 1;

  constructor(startMs = 1_760_000_000_000) {
    this.#nowMs = startMs;
  }

  now = () => this.#nowMs;

  setTimeout = (run, ms) => {
    const id = this.#nextId++;
    this.#timers.set(id, { atMs: this.#nowMs + Math.max(0, ms), id, run });
    return id;
  };

  clearTimeout = (id) => {
    this.#timers.delete(id);
  };

  get timersPending() {
    return this.#timers.size;
  }

  /** Moves on by `ms`; every timer on the way runs at its own time. */
  async advance(ms) {
    const endMs = this.#nowMs + ms;
    await settled();
    for (;;) {
      const due = [...this.#timers.values()]
        .filter((timer) => timer.atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs || a.id - b.id)[0];
      if (due === undefined) break;
      this.#timers.delete(due.id);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
      await settled();
    }
    this.#nowMs = endMs;
  }

  /** Time passes without any timer running, as in a frozen page. */
  freeze(ms) {
    this.#nowMs += ms;
  }
}

/** Resolves when all microtasks that are due have run. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
