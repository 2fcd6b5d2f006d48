import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Overlay } from '../overlay.js';
import { fakePage } from './fake-canvas.mjs';

let made = 0;
function event(text, { kind = 'chat', user = { id: 'u1', roles: [] }, id = `e${(made += 1)}`, ...body } = {}) {
  return { id, kind, ts: 0, user, body: { text, ...body } };
}

function start(options = {}, pageOptions = {}) {
  const page = fakePage(pageOptions);
  const overlay = new Overlay(page.canvas, { ...page.options, ...options });
  const texts = () => page.canvas.drawn.map(({ text }) => text);
  return { page, overlay, texts };
}

test('events are shown, spread evenly over the tick', () => {
  const { page, overlay } = start();
  overlay.push([event('a'), event('b'), event('c'), event('d')], { tickMs: 1_000 });
  const counts = [];
  for (let i = 0; i < 5; i += 1) {
    page.play(200);
    counts.push(overlay.stats.shown);
  }
  assert.deepEqual(counts, [1, 2, 3, 4, 4]);
});

test('a text enters at the right edge, crosses to the left and is gone', () => {
  const { page, overlay } = start();
  overlay.push([event('hello')]);
  page.play(40);
  const [{ x: first }] = page.canvas.drawn;
  page.play(1_000);
  const [{ x: later, y }] = page.canvas.drawn;
  assert.ok(first > 1_200 && later < first - 100 && Number.isInteger(later) && Number.isInteger(y));
  page.play(8_000);
  assert.equal(overlay.stats.onScreen, 0);
  assert.deepEqual(page.canvas.drawn, []);
});

test('no frames are asked for when there is nothing to show', () => {
  const { page, overlay } = start();
  page.play(40);
  assert.equal(page.pending.size, 0);
  overlay.push([event('a')]);
  assert.equal(page.pending.size, 1);
  page.play(9_000);
  assert.equal(page.pending.size, 0);
});

test('more than fits is dropped, and the queue stays short', () => {
  const { page, overlay } = start({}, { width: 640, height: 120 });
  for (let i = 0; i < 100; i += 1) {
    overlay.push(Array.from({ length: 100 }, (_, n) => event(`${i} ${n}`)), { tickMs: 100 });
    page.play(100);
  }
  const { shown, dropped, queued, onScreen } = overlay.stats;
  assert.equal(shown + dropped + queued, 10_000);
  assert.ok(queued <= 700, String(queued));
  assert.ok(shown > 40 && onScreen < 60, `${shown} ${onScreen}`);
});

test('own events are shown at once, also when all lanes are taken and others are delayed', () => {
  const { page, overlay, texts } = start({ delayMs: 5_000 }, { width: 640, height: 60 });
  overlay.push([event('late')]);
  overlay.push([event('mine 1')], { self: true });
  overlay.push([{ ...event('mine 2'), self: true }]);
  overlay.push([{ ...event('mine 3'), self: true }]);
  page.play(40);
  assert.deepEqual(texts(), ['mine 1', 'mine 2', 'mine 3']);
  page.play(5_000);
  assert.ok(texts().includes('late'));
});

test('important texts are drawn above the others', () => {
  const { page, overlay, texts } = start();
  overlay.push([event('paid', { kind: 'paid' }), event('normal')]);
  page.play(40);
  assert.deepEqual(texts(), ['normal', 'paid']);
});

test('blocked words, users and modes are not shown, nor any longer once they are blocked', () => {
  const { page, overlay, texts } = start({ blockWords: ['spam'] });
  overlay.push([event('SPAM!'), event('ok'), event('top', { mode: 'top' }), event('bad', { user: { id: 'u7' } })]);
  page.play(40);
  assert.deepEqual(texts(), ['ok', 'top', 'bad']);
  assert.equal(overlay.stats.blocked, 1);
  overlay.set({ blockUsers: ['u7'], blockModes: ['top'] });
  page.play(20);
  assert.deepEqual(texts(), ['ok']);
});

test('moderation takes texts off the screen and out of the queue, by id and by user', () => {
  const { page, overlay, texts } = start();
  overlay.push([event('a', { id: 'a' }), event('b', { id: 'b' }), event('c', { user: { id: 'u9' } })]);
  overlay.push([event('later', { id: 'z' }), event('soon', { id: 'y' })], { tickMs: 4_000 });
  page.play(40);
  overlay.remove(['a', 'y']);
  overlay.remove('b');
  overlay.removeUser('u9');
  page.play(20);
  assert.deepEqual(texts(), ['later']);
  page.play(3_000);
  assert.deepEqual(texts(), ['later']);
});

test('area keeps texts to the upper part', () => {
  const { page, overlay } = start({ area: 0.25 });
  for (let i = 0; i < 20; i += 1) overlay.push([event(`scroll ${i}`), event(`bottom ${i}`, { mode: 'bottom' })]);
  page.play(400);
  assert.ok(page.canvas.drawn.length > 4);
  assert.ok(page.canvas.drawn.every(({ y }) => y + 30 <= 180));
});

test('a hidden page draws nothing, and there is no burst when it comes back', () => {
  const { page, overlay } = start();
  overlay.push([event('before')]);
  page.play(1_000);
  const [{ x }] = page.canvas.drawn;
  page.hide(true);
  assert.equal(page.pending.size, 0);
  for (let i = 0; i < 60; i += 1) {
    overlay.push([event(`hidden ${i}`)], { tickMs: 1_000 });
    page.wait(1_000);
  }
  assert.equal(page.pending.size, 0);
  page.hide(false);
  page.play(40);
  assert.equal(page.canvas.drawn.length, 1);
  assert.ok(x - page.canvas.drawn[0].x < 10, 'and the text has not jumped');
});

test('a page whose frames just stop does not jump either', () => {
  const { page, overlay } = start();
  overlay.push([event('a')]);
  page.play(1_000);
  const [{ x }] = page.canvas.drawn;
  page.wait(60_000);
  page.play(20);
  assert.ok(x - page.canvas.drawn[0].x < 30);
});

test('paused texts stand, and go on from there', () => {
  const { page, overlay } = start();
  overlay.push([event('a')]);
  page.play(1_000);
  overlay.set({ paused: true });
  page.play(100);
  const [{ x }] = page.canvas.drawn;
  overlay.push([event('meanwhile')]);
  page.play(5_000);
  assert.deepEqual(page.canvas.drawn.map((drawn) => drawn.x), [x]);
  overlay.set({ paused: false });
  page.play(100);
  assert.equal(page.canvas.drawn.length, 1, 'what came meanwhile is too late');
  assert.ok(page.canvas.drawn[0].x < x && page.canvas.drawn[0].x > x - 30);
});

test('reduced motion makes moving texts stand, unless told otherwise', () => {
  const positions = (options, pageOptions) => {
    const { page, overlay } = start(options, pageOptions);
    overlay.push([event('a')]);
    page.play(1_000);
    const [{ x }] = page.canvas.drawn;
    page.play(1_000);
    return page.canvas.drawn[0].x - x;
  };
  assert.equal(positions({}, { reducedMotion: true }), 0);
  assert.equal(positions({ reducedMotion: 'always' }, {}), 0);
  assert.ok(positions({ reducedMotion: 'ignore' }, { reducedMotion: true }) < -100);
});

test('the bitmap has device pixels, and follows the box and the ratio', () => {
  const { page, overlay } = start({}, { ratio: 2 });
  assert.deepEqual([page.canvas.width, page.canvas.height], [2_560, 1_440]);
  overlay.push([event('a')]);
  page.canvas.clientWidth = 640;
  page.emit('resize');
  assert.equal(page.canvas.width, 1_280);
  page.window.devicePixelRatio = 1;
  page.play(20);
  assert.equal(page.canvas.width, 640);
  page.window.devicePixelRatio = 3;
  page.play(20);
  assert.equal(page.canvas.width, 1_280, 'capped by pixelRatioMax');
});

test('a canvas that is not displayed shows nothing, keeps its size bounded, and comes back', () => {
  const { page, overlay, texts } = start({}, { ratio: 2 });
  Object.assign(page.canvas, { clientWidth: 0, clientHeight: 0 });
  for (let i = 0; i < 20; i += 1) page.emit('resize');
  assert.equal(page.canvas.width, 0);
  overlay.push([event('a')], { self: true });
  page.play(1_000);
  assert.deepEqual([overlay.stats.onScreen, overlay.stats.dropped], [0, 1]);
  Object.assign(page.canvas, { clientWidth: 1_280, clientHeight: 720 });
  page.emit('resize');
  overlay.push([event('b')]);
  page.play(40);
  assert.deepEqual(texts(), ['b']);
});

test('a font change starts with an empty screen and goes on with queued texts', () => {
  const { page, overlay, texts } = start();
  overlay.push([event('old'), event('new')], { tickMs: 400 });
  page.play(100);
  overlay.set({ fontScale: 2 });
  page.play(300);
  assert.deepEqual(texts(), ['new']);
});

test('the same text is painted once, and the cache keeps to its pixels', () => {
  const { page, overlay } = start({ cachePixelsMax: 100_000 });
  for (let i = 0; i < 10; i += 1) overlay.push([event('same')]);
  page.play(400);
  assert.equal(overlay.stats.cache, 1);
  for (let i = 0; i < 300; i += 1) {
    overlay.push([event(`text number ${i} with some length`)]);
    page.play(100);
  }
  page.play(10_000);
  assert.ok(overlay.stats.shown > 200);
  assert.ok(overlay.stats.cachePixels <= 100_000, String(overlay.stats.cachePixels));
});

test('emotes are painted when their picture is there, and as their code before', () => {
  const { page, overlay, texts } = start();
  overlay.push([event('hi [x] you', { emotes: [{ code: '[x]', url: '/x.png' }, { code: 'you', url: 'https://evil.test/y.png' }] })]);
  page.play(40);
  assert.deepEqual(texts(), ['hi [x] you']);
  assert.deepEqual(page.images.map((image) => image.src), ['https://live.test/x.png']);
  page.images[0].onload();
  page.play(40);
  assert.deepEqual(texts(), ['hi  you']);
  assert.equal(page.canvases.reduce((sum, canvas) => sum + canvas.images, 0), 1);
});

test('opacity is set on the canvas', () => {
  const { page, overlay } = start({ opacity: 0.5 });
  assert.equal(page.canvas.style.opacity, '0.5');
  overlay.set({ opacity: 0.8 });
  assert.equal(page.canvas.style.opacity, '0.8');
});

test('events without text, or made into text by the page, are handled', () => {
  const { page, overlay, texts } = start({ text: ({ kind, body }) => (kind === 'gift' ? `gift ${body.gift}` : body?.text) });
  overlay.push([{ id: 'g', kind: 'gift', body: { gift: 'rocket' } }, { id: 'n', kind: 'enter' }, null, event('')]);
  page.play(40);
  assert.deepEqual(texts(), ['gift rocket']);
});

test('clear empties screen and queue; destroy lets go of everything', () => {
  const { page, overlay } = start();
  overlay.push([event('a'), event('b')], { tickMs: 2_000 });
  page.play(100);
  overlay.clear();
  page.play(40);
  assert.deepEqual([overlay.stats.onScreen, overlay.stats.queued, page.canvas.drawn.length], [0, 0, 0]);
  overlay.push([event('c')]);
  page.play(40);
  overlay.destroy();
  overlay.push([event('d')]);
  overlay.set({ area: 0.5 });
  assert.equal(page.pending.size, 0);
  assert.deepEqual([...page.listeners.values()].flat(), []);
  assert.equal(overlay.stats.cachePixels, 0);
});
