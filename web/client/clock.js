/** The timers and randomness that a client runs on; every part can be replaced. */
export function clockFrom(options) {
  return {
    now: options.now ?? (() => Date.now()),
    random: options.random ?? Math.random,
    // Called through wrappers: browsers refuse timers detached from their window.
    setTimeout: options.setTimeout ?? ((run, ms) => globalThis.setTimeout(run, ms)),
    clearTimeout: options.clearTimeout ?? ((timer) => globalThis.clearTimeout(timer)),
  };
}

const SAMPLES_MAX = 8;

/** Estimates the server's clock from pongs; of the newest eight the fastest counts. */
export class ServerClock {
  #samples = [];
  #now;

  constructor(now) {
    this.#now = now;
  }

  /** `sentMs` by our clock, `serverMs` by the server's, both ms since 1970. */
  pong(sentMs, serverMs) {
    const receivedMs = this.#now();
    const roundTripMs = receivedMs - sentMs;
    if (!Number.isFinite(serverMs) || !(roundTripMs >= 0)) return;
    const offsetMs = serverMs - (sentMs + roundTripMs / 2);
    this.#samples.push({ roundTripMs, offsetMs });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  now() {
    if (this.#samples.length === 0) return this.#now();
    const best = this.#samples.reduce((a, b) => (b.roundTripMs < a.roundTripMs ? b : a));
    return Math.round(this.#now() + best.offsetMs);
  }
}
