import { test } from 'node:test';
import assert from 'node:assert/strict';
import { settled } from './fake-clock.mjs';
import { chat, startClient } from './fake-socket.mjs';

function fakeEvents() {
  const sources = [];
  class FakeEventSource {
    readyState = 0;
    closed = false;
    #listeners = {};

    constructor(url) {
      this.url = new URL(url);
      sources.push(this);
    }

    addEventListener(name, run) {
      this.#listeners[name] = run;
    }

    close() {
      this.closed = true;
    }

    /** The server's side. */
    event(type, fields = {}) {
      this.#listeners[type]({ data: JSON.stringify({ type, ...fields }) });
    }

    joined(fields = {}) {
      this.event('joined', { room: 'demo', cursor: 'c0', events: [], tick_ms: 1000, state: { online: 1 }, ...fields });
    }

    fail(readyState = 0) {
      this.readyState = readyState;
      this.#listeners.error({});
    }
  }
  return { sources, FakeEventSource };
}

/** A client whose two attempts with a WebSocket have failed. */
async function fallen(options = {}) {
  const { sources, FakeEventSource } = fakeEvents();
  const started = await startClient({ EventSource: FakeEventSource, ...options });
  const room = started.client.join('demo', { history: 5 });
  const log = [];
  for (const type of ['joined', 'batch', 'gap', 'error']) room.on(type, (value) => log.push([type, value]));
  for (let attempt = 0; attempt < 2; attempt += 1) {
    started.socket().end(1006);
    await started.clock.advance(started.of('status').at(-1).delayMs);
    await settled();
  }
  return { ...started, room, roomLog: log, sources, source: () => sources.at(-1) };
}

test('after two attempts without a WebSocket rooms come as events', async () => {
  const { sockets, sources, source, room, roomLog, of } = await fallen({
    url: 'https://gateway.test/live/ws',
    token: 't1',
    name: '小明',
  });
  assert.equal(sockets.length, 2);
  assert.equal(of('status').at(-1).state, 'online');
  const { url } = source();
  assert.equal(url.origin + url.pathname, 'https://gateway.test/live/v1/rooms/demo/events');
  assert.deepEqual(Object.fromEntries(url.searchParams), { token: 't1', name: '小明', history: '5' });
  source().joined();
  source().event('batch', { room: 'demo', prev: 'c0', cursor: 'c1', events: [chat('a')] });
  source().event('gap', { room: 'demo', from: 'c1', to: 'c3', count: 2, reason: 'slow' });
  assert.deepEqual(roomLog.map(([type]) => type), ['joined', 'batch', 'gap']);
  const { received, gap, cursor, holes } = room.accounting;
  assert.deepEqual({ received, gap, cursor, holes }, { received: 1, gap: 2, cursor: 'c3', holes: 0 });
  assert.equal(sources.length, 1);
});

test('nothing can be published over events', async () => {
  const { client, source, room } = await fallen();
  source().joined();
  await assert.rejects(room.publish({ text: 'hello' }), { code: 'unavailable' });
  await assert.rejects(client.command({ type: 'refresh', token: 'x' }), { code: 'unavailable' });
});

test('a lost stream comes back with the cursor', async () => {
  const { clock, sockets, sources, source, of } = await fallen();
  source().joined();
  source().event('batch', { room: 'demo', prev: 'c0', cursor: 'c7', events: [] });
  source().fail();
  assert.equal(sources[0].closed, true);
  assert.equal(of('status').at(-1).state, 'reconnecting');
  await clock.advance(of('status').at(-1).delayMs);
  await settled();
  assert.equal(source().url.searchParams.get('since'), 'c7');
  assert.equal(sources.length, 2);
  assert.equal(sockets.length, 2, 'no WebSocket was tried again');
});

test('a goodbye says when to come back', async () => {
  const { source, of } = await fallen();
  source().joined();
  source().event('goodbye', { reason: 'draining', reconnect: true, reconnect_after_ms: 321 });
  const { state, delayMs, reason } = of('status').at(-1);
  assert.deepEqual({ state, delayMs, reason }, { state: 'reconnecting', delayMs: 321, reason: 'draining' });
});

test('a room that cannot be watched is told, and is not the end of others', async () => {
  const { client, sources, source, roomLog, of } = await fallen();
  source().fail(2);
  await settled();
  assert.equal(roomLog.at(-1)[1].code, 'unavailable');
  const other = client.join('other');
  await settled();
  source().joined({ room: 'other' });
  assert.equal(other.joined, true);
  assert.equal(of('status').at(-1).state, 'online');
  other.leave();
  assert.equal(sources.at(-1).closed, true);
});

test('a refusal by the gateway is the answer to the join', async () => {
  const { source, roomLog } = await fallen();
  source().event('error', { code: 'forbidden', message: 'not here' });
  assert.deepEqual(roomLog.at(-1), ['error', { code: 'forbidden', message: 'not here', retryAfterMs: undefined }]);
  assert.equal(source().closed, true);
});

test('whoever had a WebSocket once, or wants no events, keeps trying', async () => {
  const { sources, FakeEventSource } = fakeEvents();
  const once = await startClient({ EventSource: FakeEventSource });
  once.socket().open();
  const never = await startClient({ EventSource: FakeEventSource, fallback: false });
  for (const { socket, clock, of } of [once, never]) {
    for (let attempt = 0; attempt < 4; attempt += 1) {
      socket().end(1006);
      await clock.advance(of('status').at(-1).delayMs);
      await settled();
    }
  }
  assert.deepEqual([once.sockets.length, never.sockets.length, sources.length], [5, 5, 0]);
});

test('a room that ends while it is watched is told and left', async () => {
  const { client, sources, source, room, roomLog, of } = await fallen();
  source().joined();
  source().event('error', { room: 'demo', code: 'no_such_room', message: 'it is no more' });
  await settled();
  assert.equal(sources[0].closed, true);
  assert.equal(room.joined, false);
  assert.deepEqual(roomLog.slice(1).map(([type, { code }]) => [type, code]), [['error', 'no_such_room'], ['error', 'not_joined']]);
  const other = client.join('other');
  await settled();
  source().joined({ room: 'other' });
  assert.equal(other.joined, true);
  assert.equal(of('status').at(-1).state, 'online');
});
