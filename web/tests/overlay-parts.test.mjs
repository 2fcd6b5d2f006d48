import { test } from 'node:test';
import assert from 'node:assert/strict';
import { emoteUrl, Emotes } from '../overlay/emotes.js';
import { entryOf, RANK } from '../overlay/entry.js';
import { Filter } from '../overlay/filter.js';
import { DueQueue } from '../overlay/queue.js';
import { DEFAULTS, merged } from '../overlay/settings.js';
import { Sprites } from '../overlay/sprites.js';

const waiting = (id, dueMs, rank = 0) => ({ id, dueMs, rank });
const taken = (queue, nowMs, lateMs = 500) => {
  const ids = [];
  queue.offer(nowMs, lateMs, (entry) => ids.push(entry.id));
  return ids;
};

test('entries come when they are due, earliest first', () => {
  const queue = new DueQueue();
  for (const [id, dueMs] of [['c', 30], ['a', 10], ['b', 20], ['a2', 10]]) queue.push(waiting(id, dueMs), 10);
  assert.deepEqual(taken(queue, 9), []);
  assert.deepEqual(taken(queue, 20), ['a', 'a2', 'b']);
  assert.deepEqual(taken(queue, 30), ['c']);
  assert.equal(queue.length, 0);
});

test('what finds no lane waits 500 ms beyond its time, then is dropped', () => {
  const queue = new DueQueue();
  queue.push(waiting('a', 100), 10);
  queue.offer(600, 500, () => false);
  assert.deepEqual([queue.length, queue.dropped], [1, 0]);
  queue.offer(601, 500, () => true);
  assert.deepEqual([queue.length, queue.dropped], [0, 1]);
});

test('refused entries keep their place among those that were taken', () => {
  const queue = new DueQueue();
  for (const [index, id] of ['a', 'b', 'c', 'd'].entries()) queue.push(waiting(id, index), 10);
  queue.offer(2, 500, (entry) => entry.id === 'b');
  assert.deepEqual(taken(queue, 10), ['a', 'c', 'd']);
});

test('a full queue refuses normal entries, and makes room for important ones', () => {
  const queue = new DueQueue();
  queue.push(waiting('a', 1), 2);
  queue.push(waiting('b', 2), 2);
  queue.push(waiting('late', 3), 2);
  queue.push(waiting('paid', 3, RANK.paid), 2);
  assert.deepEqual([queue.length, queue.dropped], [2, 2]);
  assert.deepEqual(taken(queue, 10), ['a', 'paid']);
});

test('expired entries are dropped without being offered', () => {
  const queue = new DueQueue();
  queue.push(waiting('a', 0), 10);
  queue.push(waiting('b', 900), 10);
  queue.expire(1_000, 500);
  assert.deepEqual([queue.length, queue.dropped], [1, 1]);
});

test('blocked words match any case, width and spacing; users and modes match exactly', () => {
  const filter = new Filter({ blockWords: ['Spam', '', ' 剧透 '], blockUsers: ['u1'], blockModes: ['top'] });
  assert.equal(filter.allows('ｓＰ a m!', 'scroll', 'u2'), false);
  assert.equal(filter.allows('大剧 透', 'scroll', 'u2'), false);
  assert.equal(filter.allows('hello', 'scroll', 'u1'), false);
  assert.equal(filter.allows('hello', 'top', 'u2'), false);
  assert.equal(filter.allows('hello', 'scroll', undefined), true);
});

test('settings are held in their range, and nonsense changes nothing', () => {
  const settings = merged(DEFAULTS, {
    area: 9, opacity: -1, speed: NaN, fontScale: '2', density: 0, blockWords: 'x', blockUsers: [7],
    paused: 1, maxOnScreen: 1e9, reducedMotion: 'maybe', unknown: 1, fontFamily: '',
  });
  const { area, opacity, speed, fontScale, density, blockWords, blockUsers, paused, maxOnScreen } = settings;
  assert.deepEqual([area, opacity, speed, fontScale, density], [1, 0, 1, 1, 0.05]);
  assert.deepEqual([blockWords, blockUsers, paused, maxOnScreen], [[], ['7'], true, 500]);
  assert.equal(settings.reducedMotion, 'respect');
  assert.equal('unknown' in settings, false);
});

test('own, paid and staff events have priority, in this order', () => {
  const rank = (event, self = false) => entryOf({ id: 'x', kind: 'chat', body: {}, ...event }, 'hi', self).rank;
  assert.deepEqual(
    [rank({}), rank({ user: { roles: ['moderator'] } }), rank({ kind: 'gift' }), rank({ kind: 'paid' }), rank({}, true)],
    [RANK.normal, RANK.staff, RANK.paid, RANK.paid, RANK.self],
  );
});

test('bodies of any shape become harmless entries', () => {
  const odd = { mode: 'spiral', color: 'url(x)', size: 99, emotes: 'no' };
  const { mode, color, size, emotes, text } = entryOf({ id: 'x', body: odd }, ' a\n\u0000b\ud800 ', false);
  assert.deepEqual([mode, color, size, emotes, text], ['scroll', '#ffffff', 'medium', [], 'a b']);
  for (const nothing of [undefined, null, '', '  \n', 7, {}]) assert.equal(entryOf({ body: null }, nothing, false), undefined);
  assert.equal(entryOf({ id: 'x' }, 'x'.repeat(5_000), false).text.length, 300);
});

test('emotes come from the own origin, data: and blob: only', () => {
  const page = 'https://live.test/room/';
  assert.equal(emoteUrl('/e/a.png', page), 'https://live.test/e/a.png');
  assert.equal(emoteUrl('e.png', page), 'https://live.test/room/e.png');
  assert.equal(emoteUrl('data:image/png;base64,AA', page), 'data:image/png;base64,AA');
  assert.ok(emoteUrl('blob:https://live.test/1', page));
  for (const url of ['https://evil.test/a.png', '//evil.test/a.png', 'http://live.test/a.png', 'javascript:1', 'data:text/html,x', 'file:///a', 7, undefined]) {
    assert.equal(emoteUrl(url, page), undefined, String(url));
  }
  assert.equal(emoteUrl('/e/a.png', undefined), undefined);
});

test('a picture is loaded once, tells when it is there, and the oldest is forgotten', () => {
  const images = [];
  const emotes = new Emotes(() => images[images.push({}) - 1], 'https://live.test/');
  let arrived = 0;
  assert.equal(emotes.image('/a.png', () => { arrived += 1; }), undefined);
  assert.equal(emotes.image('/a.png', () => { arrived += 1; }), undefined);
  assert.equal(images.length, 1);
  images[0].onload();
  assert.equal(arrived, 2);
  assert.equal(emotes.image('/a.png', () => {}), images[0]);
  for (let i = 0; i < 200; i += 1) emotes.image(`/${i}.png`, () => {});
  emotes.image('/a.png', () => {});
  assert.equal(images.length, 202);
});

test('the same text is painted once; unused bitmaps go first, those on screen stay', () => {
  let painted = 0;
  const canvases = [];
  const sprites = new Sprites((width, height) => {
    const canvas = { width, height, getContext: () => ({ clearRect() {} }) };
    canvases.push(canvas);
    return canvas;
  });
  const hold = (key) => sprites.hold(key, 100, 10, () => { painted += 1; });
  const first = hold('a');
  assert.equal(hold('a'), first);
  assert.equal(painted, 1);
  const second = hold('b');
  sprites.release(second);
  sprites.trim(1_500);
  assert.deepEqual([sprites.size, sprites.pixels], [1, 1_000]);
  assert.equal(canvases[1].width, 0, 'its memory is given back at once');
  hold('c');
  assert.equal(canvases.length, 2, 'its canvas is used again');
  sprites.trim(0);
  assert.equal(sprites.size, 2);
  sprites.clear();
  assert.equal(sprites.pixels, 2_000);
  sprites.release(first);
  sprites.release(first);
  assert.equal(sprites.pixels, 1_000);
});
