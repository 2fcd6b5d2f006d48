import { test } from 'node:test';
import assert from 'node:assert/strict';
import { BarrageClient } from '../barrage.js';
import { backoffMs } from '../client/backoff.js';
import { fakeSockets, startClient, startRoom } from './fake-socket.mjs';

test('connects with name, token and protocol, and tells each status', async () => {
  const { sockets, of, socket } = await startClient({ name: '小明', token: 't1' });
  assert.equal(sockets.length, 1);
  assert.equal(socket().url.searchParams.get('name'), '小明');
  assert.equal(socket().url.searchParams.get('token'), 't1');
  assert.deepEqual(socket().protocols, ['barrage.v1']);
  socket().open({ ping_interval_ms: 25_000 });
  assert.deepEqual(of('status').map((status) => status.state), ['connecting', 'online']);
  assert.equal(of('welcome')[0].pingIntervalMs, 25_000);
});

test('an address that is no WebSocket address is refused at once', () => {
  const { FakeSocket } = fakeSockets();
  for (const url of ['mailto:a@b', '/ws', '']) {
    assert.throws(() => new BarrageClient({ url, WebSocket: FakeSocket }), TypeError);
  }
});

test('http addresses become WebSocket addresses', async () => {
  const { socket } = await startClient({ url: 'https://gateway.test/base/ws' });
  assert.equal(socket().url.href, 'wss://gateway.test/base/ws');
});

test('back-off begins within 500 ms and doubles from 1 s to 30 s with full jitter', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((attempt) => backoffMs(attempt, () => 0.999_999_999));
  assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(backoffMs(7, () => 0), 0);
});

test('a lost connection comes back, each attempt later than the one before', async () => {
  const { clock, sockets, socket, of } = await startClient();
  const delays = [];
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    socket().end(1006);
    const status = of('status').at(-1);
    assert.equal(status.state, 'reconnecting');
    assert.equal(status.attempt, attempt);
    delays.push(status.delayMs);
    await clock.advance(status.delayMs);
    assert.equal(sockets.length, attempt + 1);
  }
  assert.deepEqual(delays, [250, 500, 1000, 2000]);
});

test('a connection that held begins the back-off anew, one that flapped does not', async () => {
  const { clock, socket, of } = await startClient();
  socket().open();
  await clock.advance(6_000);
  socket().end(1006);
  assert.equal(of('status').at(-1).attempt, 1);
  await clock.advance(500);
  socket().open();
  await clock.advance(1_000);
  socket().end(1006);
  assert.equal(of('status').at(-1).attempt, 2);
});

test('goodbye says when to come back', async () => {
  const { clock, sockets, socket, of } = await startClient();
  socket().open();
  socket().receive({ type: 'goodbye', reason: 'draining', reconnect: true, reconnect_after_ms: 7_300 });
  socket().end(4000);
  assert.deepEqual(of('goodbye'), [{ reason: 'draining', reconnect: true, reconnectAfterMs: 7_300 }]);
  assert.equal(of('status').at(-1).reason, 'draining');
  await clock.advance(7_299);
  assert.equal(sockets.length, 1);
  await clock.advance(1);
  assert.equal(sockets.length, 2);
});

test('goodbye without a close frame ends the connection all the same', async () => {
  const { clock, sockets, socket } = await startClient();
  socket().open();
  socket().receive({ type: 'goodbye', reason: 'draining', reconnect: true, reconnect_after_ms: 100 });
  await clock.advance(2_100);
  assert.equal(sockets.length, 2);
});

test('goodbye without reconnect is final', async () => {
  const { clock, sockets, socket, of } = await startClient();
  socket().open();
  socket().receive({ type: 'goodbye', reason: 'kicked', reconnect: false });
  socket().end(4000);
  await clock.advance(120_000);
  assert.equal(sockets.length, 1);
  assert.deepEqual(of('failed'), [{ reason: 'kicked', code: 4000 }]);
});

test('close codes 4500 to 4999 are final, all others come back', async () => {
  for (const code of [4500, 4503, 4999]) {
    const { clock, sockets, socket, of } = await startClient();
    socket().open();
    socket().end(code, 'told');
    await clock.advance(120_000);
    assert.equal(sockets.length, 1, String(code));
    assert.deepEqual(of('failed'), [{ reason: 'told', code }]);
    assert.equal(of('status').at(-1).state, 'failed');
    assert.equal(clock.timersPending, 0);
  }
  for (const code of [1000, 1001, 1006, 1011, 4000, 4004, 4499, 5000]) {
    const { clock, sockets, socket } = await startClient();
    socket().open();
    socket().end(code);
    await clock.advance(1_000);
    assert.equal(sockets.length, 2, String(code));
  }
});

test('retriesMax ends in exactly one failed event', async () => {
  const { client, clock, sockets, socket, of } = await startClient({ retriesMax: 2 });
  for (let attempt = 0; attempt < 3; attempt += 1) {
    socket().end(1006);
    await clock.advance(60_000);
  }
  assert.equal(sockets.length, 3);
  assert.equal(of('failed').length, 1);
  client.close();
  assert.equal(of('failed').length, 1);
});

test('a server that never says welcome is given up after 10 s', async () => {
  const { clock, sockets, socket, of } = await startClient();
  socket().readyState = 1;
  await clock.advance(10_500);
  assert.equal(of('status').some((status) => status.reason === 'timeout'), true);
  assert.equal(sockets.length, 2);
});

test('a token function is asked before every connection', async () => {
  let count = 0;
  const { clock, socket } = await startClient({ token: async () => `t${(count += 1)}` });
  assert.equal(socket().url.searchParams.get('token'), 't1');
  socket().open();
  socket().end(4004);
  await clock.advance(500);
  assert.equal(socket().url.searchParams.get('token'), 't2');
});

test('a token function that fails or hangs counts as a failed attempt', async () => {
  const failing = await startClient({ token: async () => { throw new Error('no token'); } });
  assert.equal(failing.of('status').at(-1).reason, 'no token');
  const hanging = await startClient({ token: () => new Promise(() => {}) });
  await hanging.clock.advance(10_000);
  assert.equal(hanging.of('status').at(-1).reason, 'timeout');
});

test('pings every interval, and an answered ping keeps the connection', async () => {
  const { clock, sockets, socket } = await startClient({ pingMs: 20_000 });
  socket().open();
  for (let i = 0; i < 10; i += 1) {
    socket().receive({ type: 'pong', ts: clock.now(), now: clock.now() });
    await clock.advance(20_000);
  }
  assert.equal(sockets.length, 1);
  assert.equal(socket().all('ping').length, 11);
});

test('silence of 2.5 ping intervals is a lost connection', async () => {
  const { clock, sockets, socket, of } = await startClient({ pingMs: 20_000 });
  socket().open();
  await clock.advance(49_999);
  assert.equal(sockets.length, 1);
  await clock.advance(1);
  assert.equal(of('status').at(-1).state, 'reconnecting');
  assert.equal(of('status').at(-1).reason, 'silence');
});

test('timers that fire late do not kill a healthy connection', async () => {
  const { clock, sockets, socket } = await startClient({ pingMs: 20_000 });
  socket().open();
  for (let i = 0; i < 5; i += 1) {
    socket().receive({ type: 'pong', ts: clock.now(), now: clock.now() });
    clock.freeze(300_000);
    await clock.advance(1);
    assert.equal(socket().last('ping').ts >= clock.now() - 1, true, 'asked first');
  }
  assert.equal(sockets.length, 1);
});

test('messages that come in send the due ping when timers are throttled', async () => {
  const { clock, socket } = await startRoom({ pingMs: 20_000 });
  const before = socket().all('ping').length;
  clock.freeze(25_000);
  socket().batch('demo', 'c0', 'c1');
  assert.equal(socket().all('ping').length, before + 1);
});

test('frames that are no JSON, no objects or of unknown type are ignored', async () => {
  const { socket, of, inRoom } = await startRoom();
  for (const junk of ['', '{', 'null', '7', '[]', '{"type":7}', '{"type":"x-new"}', '{"type":"batch"}', '{"type":"pong"}']) {
    socket().receive(junk);
  }
  socket().onmessage({ data: new ArrayBuffer(4) });
  assert.equal(of('error').length, 0);
  assert.deepEqual(of('frame'), [{ type: 'x-new' }]);
  assert.equal(inRoom('batch').length, 0);
});

test('a handler that throws disturbs neither other handlers nor the client', async (t) => {
  const reported = t.mock.method(console, 'error', () => {});
  const { client, socket, of } = await startClient();
  client.on('welcome', () => { throw new Error('mine'); });
  let later = 0;
  const off = client.on('welcome', () => { later += 1; });
  socket().open();
  assert.equal(later, 1);
  assert.equal(reported.mock.callCount(), 1);
  off();
  socket().receive({ type: 'welcome' });
  assert.equal(later, 1);
  assert.equal(of('status').at(-1).state, 'online');
});

test('the server clock is taken from the fastest pong', async () => {
  const { client, clock, socket } = await startClient();
  socket().open();
  assert.equal(client.serverNow(), clock.now());
  const sentAt = clock.now();
  await clock.advance(40);
  socket().receive({ type: 'pong', ts: sentAt, now: sentAt + 5_020 });
  assert.equal(client.serverNow(), clock.now() + 5_000);
  await clock.advance(400);
  socket().receive({ type: 'pong', ts: clock.now() - 400, now: clock.now() + 9_000 });
  assert.equal(client.serverNow(), clock.now() + 5_000);
});

test('messages, errors and refusals without a room reach the client', async () => {
  const { socket, of } = await startClient();
  socket().open();
  socket().receive({ type: 'message', kind: 'x-hi', body: { a: 1 } });
  socket().receive({ type: 'error', code: 'unknown_type', message: 'what?' });
  assert.deepEqual(of('message'), [{ kind: 'x-hi', body: { a: 1 } }]);
  assert.equal(of('error')[0].code, 'unknown_type');
});

test('close ends everything, and leaves no timer behind', async () => {
  const { client, room, clock, socket, of } = await startRoom();
  const publish = room.publish({ text: 'a' });
  room.like(80);
  client.close();
  await assert.rejects(publish, { name: 'BarrageError', code: 'unavailable' });
  await assert.rejects(room.publish({ text: 'b' }), { code: 'unavailable' });
  assert.equal(socket().closedWith, 1000);
  assert.equal(of('status').at(-1).state, 'closed');
  assert.equal(clock.timersPending, 0);
  assert.equal(client.join('later').joined, false);
});

test('a handler that closes the client during the welcome is obeyed', async () => {
  const { client, clock, socket } = await startClient();
  client.on('status', ({ state }) => { if (state === 'online') client.close(); });
  client.join('demo');
  socket().open();
  assert.equal(socket().last('join'), undefined);
  assert.equal(clock.timersPending, 0);
});
