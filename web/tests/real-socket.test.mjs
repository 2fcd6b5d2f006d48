/** The client against a real WebSocket server on a free port, in real time. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import { BarrageClient } from '../barrage.js';
import { chat } from './fake-socket.mjs';

/** A server that answers each command type as `answers` say. */
async function startServer(t, answers) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const connections = [];
  server.on('connection', (socket, request) => {
    const send = (frame) => socket.send(JSON.stringify(frame));
    const connection = { socket, send, request, number: connections.push(socket) };
    send({ type: 'welcome', node: 'n', user: 'u', resumed: false, limits: {} });
    socket.on('message', (data) => {
      const frame = JSON.parse(data);
      answers[frame.type]?.(frame, connection);
    });
  });
  t.after(async () => {
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, 'close');
  });
  return { url: `ws://127.0.0.1:${server.address().port}/ws`, connections, server };
}

function startClient(t, options) {
  const client = new BarrageClient({ WebSocket, random: () => 0, ...options });
  t.after(() => client.close());
  return client;
}

const next = (source, type, wanted = () => true) => new Promise((resolve) => {
  const off = source.on(type, (value) => {
    if (!wanted(value)) return;
    off();
    resolve(value);
  });
});

test('over a real socket: joins, publishes, survives a cut and shows everything once', async (t) => {
  const { url, connections } = await startServer(t, {
    ping: (frame, { send }) => send({ type: 'pong', ts: frame.ts, now: Date.now() }),
    join: (frame, { send, number }) => {
      const recovered = frame.since === undefined ? undefined : true;
      send({ type: 'joined', id: frame.id, room: frame.room, cursor: `c${number * 10}`, recovered, events: [], tick_ms: 100, state: { online: 1 } });
      // In the same read as the reply.
      send({ type: 'batch', room: frame.room, prev: `c${number * 10}`, cursor: `c${number * 10 + 1}`, events: [chat(`b${number}`)] });
    },
    publish: (frame, { send, socket, number }) => {
      if (number === 1) return socket.terminate(); // Cut with the publish under way.
      send({ type: 'ack', id: frame.id, event: { ...chat('mine'), key: frame.key }, stored: true });
    },
  });
  const client = startClient(t, { url, name: 'n' });
  const room = client.join('demo');
  const shown = [];
  room.on('batch', ({ events }) => shown.push(...events.map((event) => event.id)));
  const holes = [];
  room.on('hole', (hole) => holes.push(hole));
  const { event } = await room.publish({ text: 'hi' });
  assert.equal(event.id, 'mine');
  assert.equal(connections.length, 2);
  assert.deepEqual([...shown].sort(), ['b1', 'b2', 'mine']);
  assert.deepEqual(holes, []);
  assert.equal(room.accounting.received, 2);
});

test('over a real socket: a final close code is the end', async (t) => {
  const { url, connections } = await startServer(t, { join: (_, { socket }) => socket.close(4501, 'banned') });
  const client = startClient(t, { url });
  client.join('demo');
  assert.deepEqual(await next(client, 'failed'), { reason: 'banned', code: 4501 });
  assert.equal(connections.length, 1);
});

test('over a real socket: a server that falls silent is left', async (t) => {
  const { url, connections } = await startServer(t, {});
  const client = startClient(t, { url, pingMs: 40 });
  const status = await next(client, 'status', ({ state }) => state === 'reconnecting');
  assert.equal(status.reason, 'silence');
  await next(client, 'status', ({ state }) => state === 'online');
  assert.equal(connections.length >= 2, true);
});

test('over a real socket: nobody listening ends in one failed event', async (t) => {
  const { url, server } = await startServer(t, {});
  await new Promise((resolve) => server.close(resolve));
  const client = startClient(t, { url, retriesMax: 2 });
  assert.equal(typeof (await next(client, 'failed')).reason, 'string');
});
