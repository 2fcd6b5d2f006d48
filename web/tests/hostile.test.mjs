/** Whatever a server or a sender makes up, neither client nor overlay throws or grows. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Overlay } from '../overlay.js';
import { fakePage } from './fake-canvas.mjs';
import { startRoom } from './fake-socket.mjs';
import { seeded } from './seeded.mjs';

const SEEDS = [1, 2, 3, 99, Date.now() % 1_000_000];
const TYPES = ['welcome', 'joined', 'batch', 'gap', 'error', 'pong', 'message', 'ack', 'left', 'goodbye', 'signal', '__proto__'];
const NAMES = [
  'id', 'room', 'cursor', 'prev', 'events', 'left_out', 'state', 'held', 'tick_ms', 'from', 'to', 'count', 'code',
  'message', 'retry_after_ms', 'ts', 'now', 'event', 'reason', 'reconnect_after_ms', 'limits', 'body', 'kind',
  'user', 'text', 'mode', 'color', 'size', 'emotes', 'url', 'width', 'height', 'roles', 'recovered',
];

function madeUp(random, depth = 0) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const plain = [null, true, -1, 0, 1, 3, 1e300, '', 'demo', 'c0', '\ud800', 'a'.repeat(500), '[x]', '/x.png'];
  if (depth > 2 || random() < 0.5) return pick(plain);
  if (random() < 0.4) return Array.from({ length: Math.floor(random() * 4) }, () => madeUp(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: Math.floor(random() * 6) }, () => [pick(NAMES), madeUp(random, depth + 1)]),
  );
}

function frame(random, depth) {
  const made = madeUp(random, depth);
  const fields = made !== null && typeof made === 'object' ? made : {};
  for (let i = 0; i < 6; i += 1) fields[NAMES[Math.floor(random() * NAMES.length)]] = madeUp(random, 1);
  const room = random() < 0.7 ? { room: 'demo' } : {};
  return { ...fields, ...room, type: TYPES[Math.floor(random() * TYPES.length)] };
}

test('made-up frames never throw, and the client still works afterwards', async (t) => {
  const reported = t.mock.method(console, 'error', () => {});
  for (const seed of SEEDS) {
    const random = seeded(seed);
    const { client, clock, socket, room, inRoom } = await startRoom();
    for (let i = 0; i < 1_500; i += 1) {
      const made = frame(random, 0);
      assert.doesNotThrow(() => socket().receive(made), `seed ${seed}: ${JSON.stringify(made)}`);
      if (i % 50 === 0) {
        void room.publish({ text: 'x' }).catch(() => {});
        room.like(7);
        await clock.advance(100);
      }
      // Made-up farewells and silence end connections; the next one is waited for.
      if (socket().readyState !== 1) {
        await clock.advance(40_000);
        if (client.status.state === 'failed') break;
        if (socket().readyState === 0) socket().open();
        if (socket().last('join')) socket().joined('demo', { cursor: 'c0' });
      }
    }
    if (client.status.state === 'online' && room.joined) {
      socket().batch('demo', room.accounting.cursor, 'end', [{ id: `fine ${seed}`, kind: 'chat', body: {} }]);
      assert.equal(inRoom('batch').at(-1).events[0].id, `fine ${seed}`);
    }
    client.close();
    assert.equal(clock.timersPending, 0, `seed ${seed}`);
  }
  assert.equal(reported.mock.callCount(), 0);
});

test('made-up events never throw in the overlay, and its limits hold', () => {
  for (const seed of SEEDS) {
    const random = seeded(seed);
    const page = fakePage({ width: 400, height: 200 });
    const overlay = new Overlay(page.canvas, { ...page.options, maxOnScreen: 50, queueMax: 100, cachePixelsMax: 200_000 });
    for (let i = 0; i < 400; i += 1) {
      const events = Array.from({ length: 20 }, () => ({ id: i, body: { text: 'x' }, ...madeUp(random), kind: random() < 0.1 ? 'paid' : 'chat' }));
      overlay.push([...events, madeUp(random)], { tickMs: random() * 500, self: random() < 0.05 });
      page.play(40);
      if (i % 40 === 0) overlay.set(Object(madeUp(random)));
      const { onScreen, queued } = overlay.stats;
      assert.ok(onScreen <= 50 && queued <= 100, `seed ${seed}: ${onScreen} ${queued}`);
    }
    page.play(30_000);
    assert.ok(overlay.stats.cachePixels <= 200_000);
    overlay.destroy();
  }
});
