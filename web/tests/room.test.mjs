import { test } from 'node:test';
import assert from 'node:assert/strict';
import { BarrageError } from '../barrage.js';
import { settled } from './fake-clock.mjs';
import { chat, startClient, startRoom } from './fake-socket.mjs';

const ids = (batch) => batch.events.map((event) => event.id);

test('joins when welcome, with history, and again with since on the next connection', async () => {
  const { clock, socket, room, inRoom } = await startRoom({}, { history: 50 });
  const { id, ...join } = socket().last('join');
  assert.ok(id > 0);
  assert.deepEqual(join, { type: 'join', room: 'demo', history: 50 });
  assert.equal(room.joined, true);
  socket().batch('demo', 'c0', 'c1', [chat('a')]);
  socket().end(1006);
  assert.equal(room.joined, false);
  await clock.advance(500);
  socket().open();
  assert.equal(socket().last('join').since, 'c1');
  socket().joined('demo', { cursor: 'c3', recovered: true, events: [chat('b')], left_out: { chat: 2 } });
  const joined = inRoom('joined').at(-1);
  assert.deepEqual([joined.cursor, joined.recovered, joined.leftOut], ['c3', true, { chat: 2 }]);
  assert.deepEqual(inRoom('batch').map((batch) => [ids(batch), batch.replay]), [[['a'], false], [['b'], true]]);
});

test('joining the same room again gives the same handle', async () => {
  const { client, room } = await startRoom();
  assert.equal(client.join('demo'), room);
});

test('a room joined while online is joined at once', async () => {
  const { client, socket } = await startRoom();
  client.join('second');
  assert.equal(socket().last('join').room, 'second');
});

test('batches carry events, what was left out, the tick and the changed state', async () => {
  const { socket, room, inRoom } = await startRoom();
  socket().batch('demo', 'c0', 'c1', [chat('a')], { left_out: { chat: 3 }, state: { online: 7 } });
  const [batch] = inRoom('batch');
  assert.deepEqual(ids(batch), ['a']);
  assert.deepEqual(batch.leftOut, { chat: 3 });
  assert.deepEqual(batch.state, { online: 7 });
  assert.deepEqual([batch.tickMs, batch.replay, batch.self], [1000, false, false]);
  socket().batch('demo', 'c1', 'c2', [], { state: { likes: 5 } });
  assert.deepEqual(inRoom('state').at(-1), { online: 7, likes: 5 });
  assert.deepEqual(room.state, { online: 7, likes: 5 });
});

test('a changed tick counts from the batch on that tells it', async () => {
  const { socket, room, inRoom } = await startRoom();
  const settings = { tick_ms: 250, chat_per_s: 40, higher_per_s: 10 };
  socket().batch('demo', 'c0', 'c1', [chat('a')], { state: { settings } });
  assert.equal(inRoom('batch').at(-1).tickMs, 250);
  assert.deepEqual([room.tickMs, room.state.settings], [250, settings]);
  for (const tick_ms of [0, -1, 'soon', null]) {
    socket().batch('demo', 'c1', 'c1', [], { state: { settings: { tick_ms } } });
    assert.equal(room.tickMs, 250);
  }
});

test('batches of other rooms and of before the join are not shown', async () => {
  const { client, socket, inRoom } = await startRoom();
  socket().batch('other', 'c0', 'c1', [chat('a')]);
  const second = client.join('second');
  let shown = 0;
  second.on('batch', () => { shown += 1; });
  socket().batch('second', 'c0', 'c1', [chat('b')]);
  assert.equal(shown, 0);
  assert.equal(inRoom('batch').length, 0);
});

test('rooms come back three at a time, each when another is answered, refused or left', async () => {
  const { client, clock, socket } = await startRoom();
  for (let n = 1; n < 8; n += 1) client.join(`r${n}`);
  const asked = () => socket().all('join').map(({ room }) => room);
  assert.deepEqual(asked(), ['demo', 'r1', 'r2', 'r3']);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  assert.deepEqual(asked(), ['demo', 'r1', 'r2']);
  socket().joined('r1', { recovered: true });
  assert.deepEqual(asked(), ['demo', 'r1', 'r2', 'r3']);
  const refused = socket().all('join').find(({ room }) => room === 'r2');
  socket().receive({ type: 'error', id: refused.id, room: 'r2', code: 'room_full', message: 'full' });
  assert.equal(asked().at(-1), 'r4');
  client.join('r5').leave();
  socket().joined('demo');
  assert.equal(asked().at(-1), 'r6', 'who has left is passed over');
  // One that is never answered gives its place up in time.
  await clock.advance(10_000);
  assert.equal(asked().at(-1), 'r7');
});

test('half a character is sent as U+FFFD, and a key has at most 64 characters, not halves', async () => {
  const { socket, room } = await startRoom();
  const face = '\u{1F600}';
  room.publish({ text: `${face}${face}`.slice(0, 3), nested: [face.slice(1), `${face}!`] });
  const { body } = socket().last('publish');
  assert.deepEqual(body, { text: `${face}\uFFFD`, nested: ['\uFFFD', `${face}!`] });
  room.publish({ text: 'x' }, { key: face.repeat(64) });
  assert.equal(socket().last('publish').key, face.repeat(64));
  await assert.rejects(room.publish({ text: 'x' }, { key: face.repeat(65) }), { code: 'bad_request' });
});

test('own event is shown once, marked as self, when its ack comes', async () => {
  const { socket, room, inRoom } = await startRoom();
  const publish = room.publish({ text: 'hi', mode: 'top' });
  const command = socket().last('publish');
  assert.deepEqual([command.room, command.kind, command.body], ['demo', 'chat', { text: 'hi', mode: 'top' }]);
  assert.ok(command.key.length > 8 && command.key.length <= 64);
  socket().receive({ type: 'ack', id: command.id, event: chat('mine', 'hi'), stored: true });
  const { event, stored } = await publish;
  assert.deepEqual([event.id, stored], ['mine', true]);
  socket().batch('demo', 'c0', 'c1', [chat('mine', 'hi'), chat('other')]);
  const [own, rest] = inRoom('batch');
  assert.deepEqual([ids(own), own.self, own.events[0].self], [['mine'], true, true]);
  assert.deepEqual(ids(rest), ['other']);
  assert.equal(room.accounting.received, 2, 'accounting counts what the batch held');
});

test('own event that its batch has brought before is not shown again', async () => {
  const { socket, room, inRoom } = await startRoom();
  const publish = room.publish({ text: 'hi' });
  socket().batch('demo', 'c0', 'c1', [chat('mine')]);
  socket().receive({ type: 'ack', id: socket().last('publish').id, event: chat('mine'), stored: true });
  await publish;
  assert.equal(inRoom('batch').length, 1);
});

test('a refused publish rejects with code and time', async () => {
  const { socket, room } = await startRoom();
  const publish = room.publish({ text: 'hi' });
  const { id } = socket().last('publish');
  socket().receive({ type: 'error', id, code: 'slow_mode', message: 'wait', retry_after_ms: 4_000, room: 'demo' });
  await assert.rejects(publish, (error) => {
    assert.ok(error instanceof BarrageError);
    assert.deepEqual([error.code, error.message, error.retryAfterMs], ['slow_mode', 'wait', 4_000]);
    return true;
  });
});

test('a publish pending at a disconnect goes out again after the rejoin with the same key', async () => {
  const { clock, socket, sockets, room, inRoom } = await startRoom();
  const publish = room.publish({ text: 'hi' });
  const { key } = socket().last('publish');
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  assert.equal(socket().last('publish'), undefined, 'not before the room is joined');
  socket().joined('demo', { recovered: true });
  assert.equal(socket().last('publish').key, key);
  socket().receive({ type: 'ack', id: socket().last('publish').id, event: chat('mine'), stored: true });
  assert.equal((await publish).event.id, 'mine');
  assert.equal(sockets.length, 2);
  assert.equal(inRoom('batch').length, 1);
});

test('a publish without an answer for 10 s is unavailable', async () => {
  const { clock, socket, room } = await startRoom();
  const publish = room.publish({ text: 'hi' });
  const rejected = assert.rejects(publish, { code: 'unavailable' });
  socket().end(1006);
  await clock.advance(10_000);
  await rejected;
  socket().open();
  socket().joined('demo', { recovered: true });
  assert.equal(socket().last('publish'), undefined);
});

test('what is published before the join waits for it', async () => {
  const { client, socket } = await startClient();
  const room = client.join('demo');
  const publish = room.publish({ text: 'early' });
  socket().open();
  assert.equal(socket().last('publish'), undefined);
  socket().joined('demo');
  socket().receive({ type: 'ack', id: socket().last('publish').id, event: chat('e'), stored: true });
  await publish;
});

test('more than 32 publishes at a time are refused as busy', async () => {
  const { room, client } = await startRoom();
  const publishes = Array.from({ length: 33 }, (_, i) => room.publish({ text: String(i) }));
  await assert.rejects(publishes[32], { code: 'busy' });
  client.close();
  assert.equal((await Promise.allSettled(publishes)).every(({ status }) => status === 'rejected'), true);
});

test('keys are unique, may be given, and are at most 64 characters', async () => {
  const { socket, room, client } = await startRoom({ random: Math.random });
  const settledAll = [];
  for (let i = 0; i < 20; i += 1) settledAll.push(room.publish({ text: 'x' }));
  settledAll.push(room.publish({ text: 'x' }, { key: 'mine', kind: 'x-poll' }));
  const sent = socket().all('publish');
  assert.equal(new Set(sent.map((command) => command.key)).size, 21);
  assert.deepEqual([sent.at(-1).key, sent.at(-1).kind], ['mine', 'x-poll']);
  await assert.rejects(room.publish({}, { key: 'k'.repeat(65) }), { code: 'bad_request' });
  await assert.rejects(room.publish({}, { key: 'mine' }), { code: 'duplicate' });
  client.close();
  await Promise.allSettled(settledAll);
});

test('likes are sent together, once per second, 50 at most', async () => {
  const { clock, socket, room } = await startRoom();
  const counts = () => socket().all('publish').map(({ kind, body }) => [kind, body.count]);
  room.like();
  room.like(3);
  room.like(60);
  for (const bad of [0, -1, NaN]) room.like(bad);
  assert.deepEqual(counts(), [['like', 1]]);
  await clock.advance(999);
  assert.equal(counts().length, 1);
  await clock.advance(1);
  assert.deepEqual(counts().at(-1), ['like', 50]);
  await clock.advance(5_000);
  assert.deepEqual(counts(), [['like', 1], ['like', 50], ['like', 13]]);
});

test('likes that came too fast go again when the server says, others are dropped', async () => {
  const { clock, socket, room } = await startRoom();
  room.like(5);
  socket().receive({ type: 'error', id: socket().last('publish').id, code: 'rate_limited', message: '', retry_after_ms: 3_000 });
  await clock.advance(2_900);
  assert.equal(socket().all('publish').length, 1);
  await clock.advance(100);
  assert.equal(socket().last('publish').body.count, 5);
  socket().receive({ type: 'error', id: socket().last('publish').id, code: 'muted', message: '' });
  await clock.advance(20_000);
  assert.equal(socket().all('publish').length, 2);
});

test('likes clicked while away go out after the rejoin', async () => {
  const { clock, socket, room } = await startRoom();
  socket().end(1006);
  room.like(2);
  await clock.advance(500);
  socket().open();
  socket().joined('demo', { recovered: true });
  assert.equal(socket().last('publish').body.count, 2);
});

test('the ack of a like shows nothing', async () => {
  const { socket, room, inRoom } = await startRoom();
  room.like();
  socket().receive({ type: 'ack', id: socket().last('publish').id, event: { ...chat('l'), kind: 'like' }, stored: true });
  assert.equal(inRoom('batch').length, 0);
});

test('a refused join is told, and tried again when the server says', async () => {
  const { client, clock, socket } = await startClient();
  const room = client.join('demo');
  const errors = [];
  room.on('error', (error) => errors.push(error));
  socket().open();
  const refuse = (fields) => socket().receive({ type: 'error', id: socket().last('join').id, message: 'm', ...fields });
  refuse({ code: 'busy', retry_after_ms: 2_000 });
  const publish = room.publish({ text: 'a' });
  await clock.advance(2_000);
  assert.equal(socket().all('join').length, 2);
  refuse({ code: 'banned' });
  await assert.rejects(publish, { code: 'banned' });
  await assert.rejects(room.publish({ text: 'b' }), { code: 'banned' });
  await clock.advance(40_000);
  assert.equal(socket().all('join').length, 2);
  assert.deepEqual(errors.map((error) => [error.code, error.retryAfterMs]), [['busy', 2_000], ['banned', undefined]]);
});

test('refusals that name the room and no command reach the room', async () => {
  const { socket, inRoom, of } = await startRoom();
  socket().receive({ type: 'error', room: 'demo', code: 'forbidden', message: 'no' });
  assert.deepEqual(inRoom('error'), [{ code: 'forbidden', message: 'no', retryAfterMs: undefined }]);
  assert.equal(of('error').length, 0);
});

test('a room that the server ends is told, refuses publishes, and is tried again later', async () => {
  const { clock, socket, room, inRoom } = await startRoom();
  const publish = room.publish({ text: 'a' });
  socket().receive({ type: 'left', room: 'demo' });
  await assert.rejects(publish, { code: 'not_joined' });
  await assert.rejects(room.publish({ text: 'b' }), { code: 'not_joined' });
  assert.deepEqual([room.joined, inRoom('error')[0].code], [false, 'not_joined']);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  assert.equal(socket().last('join').room, 'demo');
});

test('a left room is not joined again and gets nothing more', async () => {
  const { client, clock, socket, room, inRoom } = await startRoom();
  const publish = room.publish({ text: 'a' });
  room.leave();
  await assert.rejects(publish, { code: 'not_joined' });
  assert.equal(socket().last('leave').room, 'demo');
  socket().batch('demo', 'c0', 'c1', [chat('a')]);
  assert.equal(inRoom('batch').length, 0);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  assert.equal(socket().last('join'), undefined);
  assert.notEqual(client.join('demo'), room);
});

test('duplicates are known for the newest 2,000 events only, in constant memory', async () => {
  const { socket, inRoom } = await startRoom();
  socket().batch('demo', 'c0', 'c1', Array.from({ length: 2_001 }, (_, i) => chat(`e${i}`)));
  socket().batch('demo', 'c1', 'c2', [chat('e0'), chat('e1500')]);
  assert.deepEqual(ids(inRoom('batch').at(-1)), ['e0']);
});

test('commands get their reply, and unavailable when the connection goes', async () => {
  const { client, socket, room } = await startRoom();
  const moderate = room.moderate({ action: 'mute', target: 'u7', seconds: 60 });
  const { id, ...fields } = socket().last('moderate');
  assert.deepEqual(fields, { type: 'moderate', room: 'demo', action: 'mute', target: 'u7', seconds: 60 });
  socket().receive({ type: 'ack', id });
  assert.equal((await moderate).type, 'ack');
  const ice = client.command({ type: 'ice' });
  socket().end(1006);
  await assert.rejects(ice, { code: 'unavailable' });
  await assert.rejects(client.command({ type: 'ice' }), { code: 'unavailable' });
});

test('a new token is told to the gateway and used for later connections', async () => {
  const { client, clock, socket } = await startRoom({ token: 'old' });
  const refresh = client.refresh('new');
  const { id, token } = socket().last('refresh');
  assert.equal(token, 'new');
  socket().receive({ type: 'ack', id });
  await refresh;
  socket().end(4004);
  await clock.advance(500);
  assert.equal(socket().url.searchParams.get('token'), 'new');
});

test('a batch in the same read as its join reply is not lost', async () => {
  const { client, socket } = await startClient();
  const room = client.join('demo');
  const shown = [];
  room.on('batch', (batch) => shown.push(...ids(batch)));
  socket().open();
  socket().joined('demo');
  socket().batch('demo', 'c0', 'c1', [chat('a')]);
  assert.deepEqual(shown, ['a']);
  await settled();
});
