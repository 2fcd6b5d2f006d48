/**
 * Client of the native protocol `barrage.v1`: one WebSocket, any number of
 * rooms, automatic reconnection and resume. No dependencies and no DOM: runs in
 * pages, workers, Deno and Node (there with `ws` given as `WebSocket`).
 */
import { clockFrom, ServerClock } from './client/clock.js';
import { Commands } from './client/commands.js';
import { Emitter } from './client/emitter.js';
import { BarrageError } from './client/error.js';
import { Gate } from './client/gate.js';
import { Link } from './client/link.js';
import { Room } from './client/room.js';

export { BarrageError, Room };

const PING_MS_DEFAULT = 20_000;
/** A join may be answered with 256 KiB of what was missed; more than 1 MiB unread ends a connection. */
const JOINS_AT_ONCE = 3;

export class BarrageClient {
  #emitter = new Emitter();
  #rooms = new Map();
  #link;
  #commands;
  #joins = new Gate(JOINS_AT_ONCE);
  #clock;
  #serverClock;
  #token;
  #ended = undefined;

  constructor(options) {
    const WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (typeof WebSocket !== 'function') throw new TypeError('no WebSocket class: pass one as `WebSocket`');
    this.#clock = clockFrom(options);
    this.#serverClock = new ServerClock(this.#clock.now);
    this.#token = options.token;
    const linkOptions = {
      url: socketUrl(options.url),
      token: () => (typeof this.#token === 'function' ? this.#token() : this.#token),
      name: options.name,
      WebSocket,
      EventSource: (options.fallback ?? true) ? (options.EventSource ?? globalThis.EventSource) : undefined,
      retriesMax: options.retriesMax ?? Infinity,
      pingMs: options.pingMs > 0 ? options.pingMs : PING_MS_DEFAULT,
    };
    this.#link = new Link(linkOptions, this.#clock, {
      status: (status) => this.#emitter.emit('status', { ...status }),
      opened: () => this.#opened(),
      frame: (frame) => this.#route(frame),
      down: () => this.#down(),
      failed: (failed) => this.#failed(failed),
    });
    this.#commands = new Commands(this.#clock, (frame) => this.#link.send(frame));
    queueMicrotask(() => this.#link.dial());
  }

  get status() {
    return { ...this.#link.status };
  }

  on(type, handler) {
    return this.#emitter.on(type, handler);
  }

  join(name, { history = 0 } = {}) {
    const known = this.#rooms.get(name);
    if (known) return known;
    const room = new Room(name, history, {
      clock: this.#clock,
      commands: this.#commands,
      joins: this.#joins,
      leave: () => this.#rooms.delete(name),
    });
    if (this.#ended) {
      room.stop(this.#ended);
      return room;
    }
    this.#rooms.set(name, room);
    if (this.#link.online) room.online();
    return room;
  }

  command(fields) {
    return new Promise((resolve, reject) => {
      this.#commands.send(fields, (error, reply) => (error ? reject(error) : resolve(reply)));
    });
  }

  async refresh(token) {
    this.#token = token;
    if (this.#link.online) await this.command({ type: 'refresh', token });
  }

  serverNow() {
    return this.#serverClock.now();
  }

  close() {
    this.#end(new BarrageError('unavailable', 'the client was closed'));
    this.#link.end('closed', 'closed');
  }

  #opened() {
    for (const room of [...this.#rooms.values()]) room.online();
  }

  #down() {
    // Rooms first: they then know that their joins and publishes may come again.
    for (const room of this.#rooms.values()) room.offline();
    this.#commands.disconnected();
  }

  #failed(failed) {
    this.#end(new BarrageError('unavailable', failed.reason));
    this.#emitter.emit('failed', failed);
  }

  #end(error) {
    if (this.#ended) return;
    this.#ended = error;
    for (const room of this.#rooms.values()) room.stop(error);
    this.#rooms.clear();
  }

  #route(frame) {
    if (frame.id !== undefined && this.#commands.settle(frame)) return;
    switch (frame.type) {
      case 'batch':
      case 'gap':
      case 'left':
        return this.#rooms.get(frame.room)?.handle(frame);
      case 'error':
        return this.#error(frame);
      case 'pong':
        return this.#serverClock.pong(frame.ts, frame.now);
      case 'welcome':
        return this.#emitter.emit('welcome', welcomeOf(frame));
      case 'goodbye':
        return this.#emitter.emit('goodbye', goodbyeOf(frame));
      case 'message':
        return this.#emitter.emit('message', { kind: frame.kind, body: frame.body });
      default:
        return this.#emitter.emit('frame', frame);
    }
  }

  #error(frame) {
    if (frame.id !== undefined) return; // Of a command that nobody waits for any more.
    const room = this.#rooms.get(frame.room);
    if (room) room.handle(frame);
    else this.#emitter.emit('error', BarrageError.fromFrame(frame).toRefusal());
  }
}

/** The absolute WebSocket address. Throws a TypeError when there is none. */
function socketUrl(address) {
  const url = new URL(address, globalThis.location?.href);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw new TypeError(`not a WebSocket address: ${address}`);
  url.hash = '';
  return url.href;
}

function welcomeOf(frame) {
  return {
    node: frame.node,
    user: frame.user,
    resumed: frame.resumed === true,
    pingIntervalMs: frame.ping_interval_ms,
    pingTimeoutMs: frame.ping_timeout_ms,
    limits: frame.limits ?? {},
  };
}

function goodbyeOf(frame) {
  return {
    reason: frame.reason,
    reconnect: frame.reconnect !== false,
    reconnectAfterMs: frame.reconnect_after_ms,
  };
}
