/**
 * One room as a viewer sees it, over any number of connections. In: the frames
 * of this room. Out: events to its handlers, commands to the gateway.
 */
import { Disconnected } from './commands.js';
import { Emitter } from './emitter.js';
import { BarrageError } from './error.js';
import { Ledger } from './ledger.js';
import { Likes } from './likes.js';
import { Publisher } from './publisher.js';
import { Seen } from './seen.js';

const SEEN_MAX = 2_000;
const TICK_MS_DEFAULT = 1_000;
const HISTORY_MAX = 100;

export class Room {
  joined = false;
  state = {};
  tickMs = TICK_MS_DEFAULT;
  #emitter = new Emitter();
  #ledger = new Ledger();
  #seen = new Seen(SEEN_MAX);
  #history;
  #clock;
  #commands;
  #publisher;
  #likes;
  #joins;
  #leave;
  #retry = undefined;
  /** Tells replies to the present connection's join from late ones. */
  #connection = 0;
  /** Why nothing can be published, until the next join if there is one. */
  #refusal = undefined;
  #left = false;

  /** Made by the client. `joins` is the gate of all rooms; `leave(room)` takes it out of there. */
  constructor(name, history, { clock, commands, joins, leave }) {
    this.name = name;
    this.#history = historyOf(history);
    this.#clock = clock;
    this.#commands = commands;
    this.#joins = joins;
    this.#leave = leave;
    this.#publisher = new Publisher(name, clock, commands);
    this.#likes = new Likes(clock, (count) => this.#sendLikes(count));
  }

  on(type, handler) {
    return this.#emitter.on(type, handler);
  }

  get accounting() {
    return this.#ledger.snapshot();
  }

  publish(body, options = {}) {
    if (this.#refusal) return Promise.reject(this.#refusal);
    return this.#publisher.publish(body, options, (event) => this.#own(event));
  }

  like(count = 1) {
    if (!this.#refusal) this.#likes.add(count);
  }

  moderate(command) {
    return new Promise((resolve, reject) => {
      this.#commands.send({ ...command, type: 'moderate', room: this.name }, (error, reply) =>
        error ? reject(error) : resolve(reply),
      );
    });
  }

  leave() {
    if (this.#left) return;
    this.#left = true;
    if (this.joined) this.#commands.send({ type: 'leave', room: this.name }, () => {});
    this.stop(new BarrageError('not_joined', 'the room was left'));
    this.#leave(this);
  }

  /** Called by the client: the connection is welcome. */
  online() {
    this.#connection += 1;
    this.#refusal = undefined;
    this.#join();
  }

  /** Called by the client: the connection is gone, another may come. */
  offline() {
    this.#connection += 1;
    this.joined = false;
    this.#publisher.notReady();
    this.#clearRetry();
  }

  /** Called by the client: no connection will come any more. */
  stop(error) {
    this.offline();
    this.#refusal = error;
    this.#likes.stop();
    this.#publisher.stop(error);
  }

  /** Called by the client with the frames of this room that answer no command. */
  handle(frame) {
    if (frame.type === 'error') {
      this.#emitter.emit('error', BarrageError.fromFrame(frame).toRefusal());
    } else if (!this.joined) {
      return; // Left over from before a leave.
    } else if (frame.type === 'batch') {
      this.#batch(frame);
    } else if (frame.type === 'left') {
      this.#putOut();
    } else if (frame.type === 'gap') {
      const gap = gapOf(frame);
      this.#ledger.lost(gap);
      this.#emitter.emit('gap', gap);
    }
  }

  #join() {
    const connection = this.#connection;
    this.#joins.enter((done) => {
      // Its turn may come when it has left, or when the connection has gone.
      if (connection !== this.#connection) return done();
      return this.#ask(connection, done);
    });
  }

  #ask(connection, done) {
    const since = this.#ledger.cursor;
    const fields = { type: 'join', room: this.name, history: this.#history };
    if (since !== undefined) fields.since = since;
    this.#commands.send(fields, (error, frame) => {
      try {
        if (connection !== this.#connection) return;
        if (error) this.#refused(error);
        else this.#entered(frame);
      } finally {
        done();
      }
    });
  }

  #entered(frame) {
    const events = eventsOf(frame);
    this.joined = true;
    if (frame.tick_ms > 0) this.tickMs = frame.tick_ms;
    const missed = this.#ledger.joined({ ...frame, events });
    this.state = objectOf(frame.state);
    if (missed) this.#emitter.emit('gap', gapOf({ ...missed, count: 0, reason: 'expired' }));
    const leftOut = objectOf(frame.left_out);
    this.#emitter.emit('joined', {
      cursor: frame.cursor,
      recovered: frame.recovered,
      events,
      leftOut,
      tickMs: this.tickMs,
      state: { ...this.state },
    });
    this.#emitter.emit('state', { ...this.state });
    this.#show(events, { leftOut, replay: true });
    // A handler may have left the room.
    if (!this.joined) return;
    this.#publisher.ready();
    this.#likes.flush();
  }

  #refused(error) {
    if (error instanceof Disconnected) return;
    this.#emitter.emit('error', error.toRefusal());
    this.#clearRetry();
    if (!(error.retryAfterMs > 0)) {
      this.#refusal = error;
      return this.#publisher.stop(error);
    }
    this.#retry = this.#clock.setTimeout(() => this.#join(), error.retryAfterMs);
  }

  /** The server has ended the membership; the next connection tries again. */
  #putOut() {
    this.offline();
    const error = new BarrageError('not_joined', 'the server ended the membership of this room');
    this.#refused(error);
  }

  #clearRetry() {
    if (this.#retry !== undefined) this.#clock.clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #batch(frame) {
    const events = eventsOf(frame);
    const hole = this.#ledger.batch({ ...frame, events });
    if (hole) this.#emitter.emit('hole', hole);
    const changes = objectOf(frame.state);
    if (Object.keys(changes).length > 0) {
      this.state = { ...this.state, ...changes };
      // In force from the end of the slot that this batch closes.
      const tickMs = objectOf(changes.settings).tick_ms;
      if (tickMs > 0) this.tickMs = tickMs;
      this.#emitter.emit('state', { ...this.state });
    }
    this.#show(events, { leftOut: objectOf(frame.left_out), state: changes, always: true });
  }

  /** Our own event, as its ack has it; the batch that brings it again stays silent. */
  #own(event) {
    if (event.kind === 'like') return;
    this.#show([{ ...event, self: true }], { self: true });
  }

  #show(events, { leftOut = {}, state = {}, replay = false, self = false, always = false }) {
    const fresh = events.filter((event) => event.id === undefined || this.#seen.add(event.id));
    if (fresh.length === 0 && !always) return;
    this.#emitter.emit('batch', { events: fresh, leftOut, tickMs: this.tickMs, state, replay, self });
  }

  #sendLikes(count) {
    if (!this.joined) return undefined;
    const fields = { type: 'publish', room: this.name, kind: 'like', body: { count } };
    return new Promise((resolve, reject) => {
      this.#commands.send(fields, (error) => (error ? reject(error) : resolve()));
    });
  }
}

function eventsOf(frame) {
  return Array.isArray(frame.events) ? frame.events.filter((event) => event && typeof event === 'object') : [];
}

/** How many are missing is 0 where nobody can know it. */
function gapOf({ from, to, count, reason }) {
  const isCount = Number.isSafeInteger(count) && count > 0;
  return { from, to, count: isCount ? count : 0, reason: typeof reason === 'string' ? reason : 'unknown' };
}

function objectOf(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
}

function historyOf(count) {
  return Math.max(0, Math.min(HISTORY_MAX, Math.floor(count) || 0));
}
