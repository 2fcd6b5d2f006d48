/**
 * A WebSocket class under a test's control, and a scripted gateway behind it.
 * The test opens, feeds and closes the sockets; what the client sent is kept.
 */
import { BarrageClient } from '../barrage.js';
import { FakeClock, settled } from './fake-clock.mjs';

export function fakeSockets() {
  const sockets = [];
  class FakeSocket {
    readyState = 0;
    bufferedAmount = 0;
    sent = [];
    closedWith = undefined;

    constructor(url, protocols) {
      this.url = new URL(url);
      this.protocols = protocols;
      sockets.push(this);
    }

    send(data) {
      this.sent.push(JSON.parse(data));
    }

    close(code) {
      this.readyState = 3;
      this.closedWith ??= code ?? 1005;
    }

    /** The server's side. */
    open(welcome = {}) {
      this.readyState = 1;
      this.onopen?.({});
      this.receive({ type: 'welcome', node: 'n1', user: { id: 'u1' }, resumed: false, limits: {}, ...welcome });
    }

    receive(frame) {
      this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
    }

    end(code = 1006, reason = '') {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }

    /** The newest command of a type, or undefined. */
    last(type) {
      return this.sent.findLast((frame) => frame.type === type);
    }

    all(type) {
      return this.sent.filter((frame) => frame.type === type);
    }

    joined(room, fields = {}) {
      const { id } = this.sent.findLast((frame) => frame.type === 'join' && frame.room === room);
      this.receive({ type: 'joined', id, room, cursor: 'c0', events: [], tick_ms: 1000, state: {}, ...fields });
    }

    batch(room, prev, cursor, events = [], fields = {}) {
      this.receive({ type: 'batch', room, prev, cursor, events, ...fields });
    }
  }
  return { sockets, FakeSocket };
}

/** A client on a fake clock and fake sockets, with a log of its status. */
export async function startClient(options = {}) {
  const clock = new FakeClock();
  const { sockets, FakeSocket } = fakeSockets();
  const client = new BarrageClient({
    url: 'ws://gateway.test/ws',
    WebSocket: FakeSocket,
    now: clock.now,
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    random: () => 0.5,
    ...options,
  });
  const log = [];
  for (const type of ['status', 'welcome', 'goodbye', 'failed', 'error', 'message', 'frame']) {
    client.on(type, (value) => log.push([type, value]));
  }
  const of = (type) => log.filter(([logged]) => logged === type).map(([, value]) => value);
  await settled();
  return { client, clock, sockets, log, of, socket: () => sockets.at(-1) };
}

/** The same, online and in a room, with a log of the room's events. */
export async function startRoom(options = {}, join = {}) {
  const started = await startClient(options);
  const room = started.client.join('demo', join);
  const roomLog = [];
  for (const type of ['joined', 'batch', 'gap', 'hole', 'state', 'error']) {
    room.on(type, (value) => roomLog.push([type, value]));
  }
  started.socket().open();
  started.socket().joined('demo');
  const inRoom = (type) => roomLog.filter(([logged]) => logged === type).map(([, value]) => value);
  return { ...started, room, roomLog, inRoom };
}

export function chat(id, text = `text ${id}`) {
  return { id, kind: 'chat', ts: 1_760_000_000_000, user: { id: 'u9', name: 'N' }, body: { text } };
}
