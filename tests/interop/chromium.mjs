/**
 * A WebSocket of a real page in Chromium against a running gateway; `run.sh` starts it and says
 * where it is. The page comes through a proxy of this test, which sees the frames on the wire.
 */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { EVENTS, EVENTS_MIN, Proxy, eventually, lot, publish, run } from './lib.mjs';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const proxy = await Proxy.start();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
const page = await browser.newPage();
const faults = [];
page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
page.on('console', (message) => { if (message.type() === 'error') faults.push(`console: ${message.text()}`); });
const devtools = await page.context().newCDPSession(page);
await devtools.send('Network.enable');
const handshakes = new Map();
const frames = new Map();
const sockets = new Map();
devtools.on('Network.webSocketCreated', ({ requestId, url }) => sockets.set(requestId, url));
devtools.on('Network.webSocketHandshakeResponseReceived', ({ requestId, response }) => handshakes.set(sockets.get(requestId), response));
devtools.on('Network.webSocketFrameReceived', ({ requestId, response }) => {
  const url = sockets.get(requestId);
  frames.set(url, [...(frames.get(url) ?? []), response.payloadData]);
});

/** The address of the WebSocket, told apart by a name. */
const socketUrl = (name) => `${proxy.wsUrl}?name=${name}`;

/** Opens a WebSocket in the page: `clients[name]` with its messages and its close. */
const open = (name) => page.evaluate(async ([url, key]) => {
  const socket = new WebSocket(url, 'barrage.v1');
  const client = { socket, messages: [], nextId: 1 };
  socket.onmessage = ({ data }) => client.messages.push(JSON.parse(data));
  client.closed = new Promise((resolve) => { socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean }); });
  client.ask = async (command) => {
    const id = client.nextId++;
    socket.send(JSON.stringify({ ...command, id }));
    for (;;) {
      const reply = client.messages.find((message) => message.id === id);
      if (reply) return reply;
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
  };
  (globalThis.clients ??= {})[key] = client;
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error('the WebSocket does not open')); });
}, [socketUrl(name), name]);

const ask = (name, command) => page.evaluate(([key, what]) => globalThis.clients[key].ask(what), [name, command]);
const messages = (name) => page.evaluate((key) => globalThis.clients[key].messages, name);

async function thePageLoadsAndItsSocketCompresses() {
  const answer = await page.goto(proxy.url);
  assert.equal(answer.status(), 200);
  await open('page');
  const { headers } = await eventually('the handshake', () => handshakes.get(socketUrl('page')));
  const extensions = Object.entries(headers).find(([name]) => name.toLowerCase() === 'sec-websocket-extensions')[1];
  assert.match(extensions, /permessage-deflate; server_no_context_takeover; client_no_context_takeover/);
  assert.equal(await page.evaluate(() => globalThis.clients.page.socket.protocol), 'barrage.v1');
}

async function batchesComeCompressedAndIntact() {
  const room = 'chromium-compressed';
  assert.equal((await ask('page', { type: 'join', room })).type, 'joined');
  // A slot may end in between; the next lot then comes whole.
  for (let number = 0; number < 5; number += 1) {
    const published = await publish(room, lot(number));
    const last = published.at(-1).id;
    await page.waitForFunction((id) => globalThis.clients.page.messages.some((message) => message.events?.some((event) => event.id === id)), last);
    const all = await messages('page');
    const received = all.flatMap((message) => (message.type === 'batch' ? message.events : []));
    assert.deepEqual(received.slice(-EVENTS), published, 'every event intact and in order');
    const at = all.findLastIndex((message) => message.events?.length >= EVENTS_MIN);
    if (at < 0) continue;
    const wire = proxy.upgraded('/ws?name=page').received.messages[at];
    const text = await eventually('the frame in DevTools', () => frames.get(socketUrl('page'))?.[at]);
    assert.deepEqual(JSON.parse(text), all[at], 'what DevTools shows is what the page got');
    assert.ok(wire.compressed, 'a large batch comes compressed');
    assert.ok(wire.bytes * 3 < Buffer.byteLength(text), `${wire.bytes} bytes for ${Buffer.byteLength(text)}`);
    return;
  }
  throw new Error('no batch was large');
}

async function compressedCommandsAreUnderstood() {
  const room = 'chromium-compressed';
  const text = '字'.repeat(200);
  const ack = await ask('page', { type: 'publish', room, body: { text } });
  assert.equal(ack.type, 'ack', JSON.stringify(ack));
  assert.equal(ack.event.body.text, text);
  const body = { list: Array.from({ length: 900 }, () => '项') };
  assert.deepEqual((await ask('page', { type: 'publish', room, kind: 'x-list', body })).event.body, body);
  assert.equal((await ask('page', { type: 'ping', ts: 1.5 })).ts, 1.5);
  const { sent } = proxy.upgraded('/ws?name=page');
  assert.ok(sent.messages.length >= 4);
  assert.ok(sent.messages.every(({ compressed }) => compressed), 'Chromium compresses everything');
}

async function misdeedsAreClosedWithTheirCodes() {
  const misdeeds = [
    ['binary', 1003, 'socket.send(new Uint8Array([1, 2]))'],
    ['large', 1009, 'socket.send(" ".repeat(16 * 1024 + 1))'],
    ['babble', 4502, 'for (let n = 0; n < 8; n += 1) socket.send("喂")'],
    ['leaving', 1000, 'socket.close(1000, "再见")'],
    ['own', 4999, 'socket.close(4999)'],
  ];
  for (const [name, code, misdeed] of misdeeds) {
    await open(name);
    await ask(name, { type: 'join', room: 'chromium-closing' });
    const closed = await page.evaluate(([key, script]) => {
      const { socket, closed: end } = globalThis.clients[key];
      new Function('socket', script)(socket);
      return end;
    }, [name, misdeed]).catch(() => null);
    assert.deepEqual({ code: closed?.code, wasClean: closed?.wasClean }, { code, wasClean: true }, name);
  }
}

try {
  await run([
    thePageLoadsAndItsSocketCompresses,
    batchesComeCompressedAndIntact,
    compressedCommandsAreUnderstood,
    misdeedsAreClosedWithTheirCodes,
  ]);
  assert.deepEqual(faults, []);
} finally {
  await browser.close();
  await proxy.stop();
}
