/** Coalesces likes: one publish per second at most, 1 to 50 in each. */

const INTERVAL_MS = 1_000;
const COUNT_MAX = 50;
/** Ten seconds of the most that can be sent; clicks beyond are forgotten. */
const PENDING_MAX = 500;

export class Likes {
  #pending = 0;
  #nextAt = 0;
  #timer = undefined;
  #clock;
  #send;

  /** `send(count)` returns a promise, or undefined when it cannot send now. */
  constructor(clock, send) {
    this.#clock = clock;
    this.#send = send;
  }

  add(count) {
    const whole = Math.floor(count);
    if (!(whole > 0)) return;
    this.#pending = Math.min(PENDING_MAX, this.#pending + whole);
    this.flush();
  }

  /** Sends what is due. To be called again when the room is joined. */
  flush() {
    if (this.#pending === 0 || this.#timer !== undefined) return;
    const waitMs = this.#nextAt - this.#clock.now();
    if (waitMs > 0) return this.#wait(waitMs);
    const count = Math.min(COUNT_MAX, this.#pending);
    const reply = this.#send(count);
    if (reply === undefined) return;
    this.#pending -= count;
    this.#nextAt = this.#clock.now() + INTERVAL_MS;
    reply.catch((error) => this.#refused(count, error));
    if (this.#pending > 0) this.#wait(INTERVAL_MS);
  }

  stop() {
    this.#pending = 0;
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(ms) {
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, ms);
  }

  /** Likes that came too fast go again later; any other refusal is the end of them. */
  #refused(count, error) {
    if (!(error.retryAfterMs > 0)) return;
    this.#nextAt = this.#clock.now() + Math.max(INTERVAL_MS, error.retryAfterMs);
    this.#pending = Math.min(PENDING_MAX, this.#pending + count);
    this.flush();
  }
}
