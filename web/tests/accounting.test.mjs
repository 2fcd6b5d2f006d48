// What a room received, lost and was left out of, over any number of connections.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { chat, startRoom } from './fake-socket.mjs';

const ids = (batch) => batch.events.map((event) => event.id);

test('accounting adds up over batches, gaps and a recovered rejoin', async () => {
  const { clock, socket, room, inRoom } = await startRoom();
  socket().batch('demo', 'c0', 'c1', [chat('a'), chat('b')], { left_out: { chat: 3, ambient: 1 } });
  socket().receive({ type: 'gap', room: 'demo', from: 'c1', to: 'c2', count: 9, reason: 'slow' });
  socket().batch('demo', 'c2', 'c3', [chat('c')], { held: 2 });
  assert.deepEqual(inRoom('gap'), [{ from: 'c1', to: 'c2', count: 9, reason: 'slow' }]);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  assert.equal(socket().last('join').since, 'c3');
  socket().joined('demo', { cursor: 'c5', recovered: true, events: [chat('d')], left_out: { chat: 4 } });
  assert.deepEqual(room.accounting, {
    received: 4, leftOut: 8, gap: 9, held: 0, heldAtJoin: 0, holes: 0, joinedCursor: 'c0', cursor: 'c5',
  });
  assert.equal(inRoom('hole').length, 0);
});

test('an event that a resume brings again is counted once and shown once', async () => {
  const { clock, socket, room, inRoom } = await startRoom();
  socket().batch('demo', 'c0', 'c1', [chat('a'), chat('gift')]);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  socket().joined('demo', { cursor: 'c2', recovered: true, events: [chat('gift'), chat('b')] });
  socket().batch('demo', 'c2', 'c3', [chat('b'), chat('c')]);
  assert.equal(room.accounting.received, 4);
  assert.deepEqual(inRoom('batch').flatMap(ids), ['a', 'gift', 'b', 'c']);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  socket().joined('demo', { cursor: 'c9', recovered: false, events: [chat('c')] });
  assert.equal(room.accounting.received, 0, 'a new account');
  socket().batch('demo', 'c9', 'd0', [chat('d')]);
  assert.equal(room.accounting.received, 1);
});

test('own event counts as received when its batch comes, not with its ack', async () => {
  const { socket, room } = await startRoom();
  room.publish({ text: 'mine' });
  const { id } = socket().last('publish');
  socket().receive({ type: 'ack', id, stored: true, event: chat('own') });
  assert.equal(room.accounting.received, 0);
  socket().batch('demo', 'c0', 'c1', [chat('own')]);
  assert.equal(room.accounting.received, 1);
});

test('history on a first join is not counted, and an unrecovered rejoin starts anew', async () => {
  const { clock, socket, room, inRoom } = await startRoom();
  socket().batch('demo', 'c0', 'c1', [chat('a')]);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  socket().joined('demo', { cursor: 'x9', recovered: false, events: [chat('a'), chat('z')], held: 3 });
  assert.deepEqual(room.accounting, {
    received: 0, leftOut: 0, gap: 0, held: 3, heldAtJoin: 3, holes: 0, joinedCursor: 'x9', cursor: 'x9',
  });
  assert.deepEqual(ids(inRoom('batch').at(-1)), ['z'], 'known ones are not shown again');
});

test('a gap that overtakes the batches before it is no hole', async () => {
  const { socket, room, inRoom } = await startRoom();
  socket().receive({ type: 'gap', room: 'demo', from: 'c1', to: 'c4', count: 2, reason: 'slow' });
  assert.equal(room.accounting.cursor, 'c0');
  socket().batch('demo', 'c0', 'c1', [chat('a')]);
  assert.equal(room.accounting.cursor, 'c4');
  socket().batch('demo', 'c4', 'c5', [chat('b')]);
  assert.equal(inRoom('hole').length, 0);
});

test('a batch that does not continue the last one is told as a hole', async () => {
  const { socket, room, inRoom } = await startRoom();
  socket().batch('demo', 'c7', 'c8', [chat('a')]);
  assert.deepEqual(inRoom('hole'), [{ expected: 'c0', prev: 'c7' }]);
  assert.equal(room.accounting.holes, 1);
  assert.equal(room.accounting.cursor, 'c8');
  assert.equal(inRoom('batch').length, 1);
});

test('a rejoin that was not recovered is told as a gap that nobody can count, before what comes next', async () => {
  const { clock, socket, inRoom, roomLog } = await startRoom();
  assert.deepEqual(inRoom('gap'), [], 'a first join misses nothing');
  socket().batch('demo', 'c0', 'c1', [chat('a')]);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  roomLog.length = 0;
  socket().joined('demo', { cursor: 'x9', recovered: false, events: [chat('z')] });
  assert.deepEqual(roomLog.map(([type]) => type), ['gap', 'joined', 'state', 'batch']);
  assert.deepEqual(inRoom('gap'), [{ from: 'c1', to: 'x9', count: 0, reason: 'expired' }]);
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  roomLog.length = 0;
  socket().joined('demo', { cursor: 'x9', recovered: false });
  assert.deepEqual(inRoom('gap'), [], 'nothing has happened meanwhile');
  socket().end(1006);
  await clock.advance(500);
  socket().open();
  socket().joined('demo', { cursor: 'y1', recovered: true });
  assert.deepEqual(inRoom('gap'), []);
});

test('gaps of every reason are told with their counts, whatever they hold', async () => {
  const { socket, inRoom, room } = await startRoom();
  const gaps = [
    { from: 'c0', to: 'c2', count: 2, reason: 'lost' },
    { from: 'c2', to: 'c2', count: 3, reason: 'lost' },
    { from: 'c2', to: 'd0', count: 0, reason: 'expired' },
  ];
  for (const gap of gaps) socket().receive({ type: 'gap', room: 'demo', ...gap });
  assert.deepEqual(inRoom('gap'), gaps);
  assert.equal(room.accounting.gap, 5);
  socket().batch('demo', 'd0', 'd1', [chat('a')]);
  assert.deepEqual(inRoom('hole'), []);
  for (const count of [-1, 1.5, NaN, 'many', null, undefined]) socket().receive({ type: 'gap', room: 'demo', from: 'd1', to: 'd1', count, reason: {} });
  assert.deepEqual(inRoom('gap').slice(3).map(({ count, reason }) => [count, reason]), Array(6).fill([0, 'unknown']));
  assert.equal(room.accounting.gap, 5);
});
