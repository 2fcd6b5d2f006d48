/**
 * One WebSocket at a time to the gateway, kept alive. In: frames to send. Out:
 * `opened` after each welcome, `frame` for every frame, `down` when a connection
 * ends, `status` for people. Decides when to come back and when to give up.
 */
import { backoffMs, isFinalClose } from './backoff.js';
import { EventSocket, FALLBACK_ATTEMPTS } from './events.js';
import { jsonOf } from './text.js';

const PROTOCOL = 'barrage.v1';
const CONNECT_MS_MAX = 10_000;
/** A connection that lived as long starts the back-off anew when it ends. */
const STABLE_MS = 5_000;
const GOODBYE_CLOSE_MS = 2_000;
const BUFFERED_BYTES_MAX = 1 << 20;
const OPEN = 1;

export class Link {
  status = { state: 'connecting', attempt: 0, delayMs: 0, reason: '' };
  #options;
  #clock;
  #to;
  #socket = undefined;
  #attempt = 0;
  #onlineAt = undefined;
  #goodbye = undefined;
  /** One timer at a time: connecting, watching, or waiting to reconnect. */
  #timer = undefined;
  #heardAt = 0;
  #pingedAt = 0;
  #unansweredAt = undefined;
  #ended = false;
  /** Whether a WebSocket has ever worked, and whether events stand in for one. */
  #proven = false;
  #fallen = false;

  /** `options`: {url, token(), name, WebSocket, EventSource?, retriesMax, pingMs}. */
  constructor(options, clock, to) {
    this.#options = options;
    this.#clock = clock;
    this.#to = to;
  }

  get online() {
    return this.#onlineAt !== undefined;
  }

  /** Dials. To be called once; the link calls itself afterwards. */
  async dial() {
    if (this.#ended) return;
    this.#tell('connecting', 0, this.status.reason);
    // Started before the token is asked for: that can hang as well.
    this.#arm(() => this.#drop('timeout'), CONNECT_MS_MAX);
    const timer = this.#timer;
    try {
      let token = this.#options.token();
      if (typeof token?.then === 'function') {
        token = await token;
        if (this.#ended || this.#timer !== timer) return;
      }
      this.#open(token);
    } catch (error) {
      if (!this.#ended && this.#timer === timer) this.#drop(String(error?.message ?? error));
    }
  }

  /** Whether the frame was handed to an open socket. */
  send(frame) {
    const socket = this.#socket;
    if (!this.online || socket?.readyState !== OPEN) return false;
    if (socket.bufferedAmount > BUFFERED_BYTES_MAX) return false;
    try {
      socket.send(jsonOf(frame));
      return true;
    } catch {
      return false;
    }
  }

  /** Ends for good. `state`: 'closed' by the user, 'failed' otherwise. */
  end(state, reason) {
    if (this.#ended) return;
    this.#ended = true;
    this.#disarm();
    this.#discard(1000);
    this.#tell(state, 0, reason);
  }

  #open(token) {
    const url = new URL(this.#options.url);
    if (token) url.searchParams.set('token', token);
    if (this.#options.name) url.searchParams.set('name', this.#options.name);
    const { WebSocket, EventSource } = this.#options;
    const socket = this.#fallen ? new EventSocket(url.href, EventSource) : new WebSocket(url.href, [PROTOCOL]);
    this.#socket = socket;
    const mine = (run) => (event) => {
      if (this.#socket === socket) run(event);
    };
    socket.onmessage = mine((event) => this.#heard(event.data));
    socket.onclose = mine((event) => this.#closed(event.code, event.reason));
    // Stays set on discarded sockets: `ws` throws errors that nobody listens to.
    socket.onerror = () => {};
  }

  #heard(data) {
    this.#heardAt = this.#clock.now();
    this.#unansweredAt = undefined;
    const frame = parse(data);
    if (frame === undefined) return;
    if (frame.type === 'welcome' && !this.online) this.#welcomed();
    if (frame.type === 'goodbye') this.#bidden(frame);
    this.#to.frame(frame);
    // Timers of hidden pages are throttled to one a minute, messages are not.
    if (this.online && this.#heardAt - this.#pingedAt >= this.#options.pingMs) this.#ping();
  }

  #welcomed() {
    this.#onlineAt = this.#clock.now();
    this.#proven = true;
    this.#ping();
    this.#watch();
    this.#tell('online', 0, '');
    // A handler of the status may have closed the client.
    if (this.online) this.#to.opened();
  }

  #bidden(frame) {
    this.#goodbye = {
      reason: String(frame.reason ?? 'goodbye'),
      reconnect: frame.reconnect !== false,
      reconnectAfterMs: frame.reconnect_after_ms >= 0 ? frame.reconnect_after_ms : undefined,
    };
    this.#arm(() => this.#drop('goodbye'), GOODBYE_CLOSE_MS);
  }

  #ping() {
    this.#pingedAt = this.#clock.now();
    this.#unansweredAt ??= this.#pingedAt;
    this.send({ type: 'ping', ts: this.#pingedAt });
  }

  /**
   * Pings, and gives up on a silent connection. Silence only counts when a ping
   * of ours has had time for its answer: after a late timer (throttled page,
   * sleeping machine) the clock alone says nothing about the connection.
   */
  #watch() {
    const { pingMs } = this.#options;
    const now = this.#clock.now();
    if (now >= this.#deadAt()) return this.#drop('silence');
    if (now - this.#pingedAt >= pingMs) this.#ping();
    const nextMs = Math.min(this.#pingedAt + pingMs, this.#deadAt()) - now;
    this.#arm(() => this.#watch(), Math.max(1, nextMs));
  }

  #deadAt() {
    if (this.#unansweredAt === undefined) return Infinity;
    const { pingMs } = this.#options;
    return Math.max(this.#heardAt + 2.5 * pingMs, this.#unansweredAt + 1.5 * pingMs);
  }

  #closed(code, reason) {
    const why = this.#goodbye?.reason || reason || `closed ${code}`;
    if (isFinalClose(code)) this.#fail(why, code);
    else this.#down(why, code);
  }

  /** Gives the connection up from our side. */
  #drop(reason) {
    this.#down(this.#goodbye?.reason ?? reason);
  }

  #down(reason, code) {
    const goodbye = this.#goodbye;
    const stable = this.online && this.#clock.now() - this.#onlineAt >= STABLE_MS;
    this.#discard();
    if (this.#ended) return;
    if (goodbye?.reconnect === false) return this.#fail(reason, code);
    this.#attempt = stable ? 1 : this.#attempt + 1;
    this.#fallen ||= !this.#proven && this.#options.EventSource !== undefined && this.#attempt >= FALLBACK_ATTEMPTS;
    if (this.#attempt > this.#options.retriesMax) return this.#fail(reason, code);
    const delayMs = goodbye?.reconnectAfterMs ?? backoffMs(this.#attempt, this.#clock.random);
    this.#arm(() => this.dial(), delayMs);
    this.#tell('reconnecting', delayMs, reason);
  }

  #fail(reason, code) {
    if (this.#ended) return;
    this.end('failed', reason);
    this.#to.failed({ reason, code });
  }

  /** Lets go of the socket; whatever it still says is not heard. */
  #discard(code) {
    const socket = this.#socket;
    const wasOnline = this.online;
    this.#socket = undefined;
    this.#onlineAt = undefined;
    this.#goodbye = undefined;
    this.#unansweredAt = undefined;
    this.#disarm();
    try {
      socket?.close(code);
      // A dead peer answers no close; `ws` would wait for it half a minute.
      if (code === undefined) socket?.terminate?.();
    } catch {
      // Closing a socket that is still connecting throws in some runtimes.
    }
    if (wasOnline) this.#to.down();
  }

  #arm(run, ms) {
    this.#disarm();
    this.#timer = this.#clock.setTimeout(run, ms);
  }

  #disarm() {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tell(state, delayMs, reason) {
    this.status = { state, attempt: state === 'online' ? 0 : this.#attempt, delayMs, reason };
    this.#to.status(this.status);
  }
}

function parse(data) {
  if (typeof data !== 'string') return undefined;
  try {
    const frame = JSON.parse(data);
    return typeof frame?.type === 'string' ? frame : undefined;
  } catch {
    return undefined;
  }
}
