/** Node's `ws` against a running gateway; `run.sh` starts it and says where it is. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';

import { EVENTS, EVENTS_MIN, Proxy, lot, publish, run, within } from './lib.mjs';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { WebSocket } = require('ws');

const proxy = await Proxy.start();
let connections = 0;

/** A connection that numbers its commands and keeps what it receives. */
class Client {
  messages = [];
  #path;
  #nextId = 1;
  #waiting = [];

  constructor(perMessageDeflate) {
    this.#path = `/ws?name=${++connections}`;
    this.socket = new WebSocket(`${proxy.wsUrl}${this.#path.slice(3)}`, ['barrage.v1'], { perMessageDeflate });
    this.closed = once(this.socket, 'close').then(([code]) => code);
    this.socket.on('message', (data, isBinary) => {
      assert.ok(!isBinary);
      this.messages.push(JSON.parse(data.toString()));
      this.#waiting.splice(0).forEach((wake) => wake());
    });
  }

  static async connect(perMessageDeflate = { threshold: 0 }) {
    const client = new Client(perMessageDeflate);
    await within('open', once(client.socket, 'open'));
    assert.equal((await client.find((message) => message.type === 'welcome')).node.length > 0, true);
    return client;
  }

  /** What came over the wire: the frames of `messages`. */
  get received() { return proxy.upgraded(this.#path).received; }

  /** The first message from `from` on that pleases. */
  async find(pleases, from = 0) {
    const look = async () => {
      for (;;) {
        const found = this.messages.slice(from).find(pleases);
        if (found) return found;
        await new Promise((resolve) => { this.#waiting.push(resolve); });
      }
    };
    return within('a message', look());
  }

  async ask(command, options) {
    const id = this.#nextId++;
    this.socket.send(JSON.stringify({ ...command, id }), options);
    return this.find((message) => message.id === id);
  }

  async join(room) {
    const joined = await this.ask({ type: 'join', room });
    assert.equal(joined.type, 'joined', JSON.stringify(joined));
  }

  /** Publishes until one batch holds many events; returns its number among the messages. */
  async largeBatch(room) {
    await this.join(room);
    // A slot may end in between; the next lot then comes whole.
    for (let number = 0; number < 5; number += 1) {
      let from = this.messages.length;
      const published = await publish(room, lot(number));
      const received = [];
      let largest = null;
      while (received.length < EVENTS) {
        const batch = await this.find((message) => message.type === 'batch', from);
        from = this.messages.indexOf(batch) + 1;
        received.push(...batch.events);
        assert.equal(batch.left_out, undefined);
        if (batch.events.length >= EVENTS_MIN) largest = from - 1;
      }
      assert.deepEqual(received, published, 'every event intact and in order');
      if (largest !== null) return largest;
    }
    throw new Error('no batch was large');
  }

  async close(code = 1000) {
    this.socket.close(code);
    assert.equal(await within('the close', this.closed), code);
  }
}

async function batchesComeCompressedAndIntact() {
  const client = await Client.connect();
  assert.match(client.socket.extensions, /^permessage-deflate/);
  assert.equal(client.socket.protocol, 'barrage.v1');
  const at = await client.largeBatch('node-compressed');
  const wire = client.received.messages[at];
  const text = Buffer.byteLength(JSON.stringify(client.messages[at]));
  assert.ok(wire.compressed, 'a large batch comes compressed');
  assert.ok(wire.bytes * 3 < text, `${wire.bytes} bytes for ${text}`);
  client.messages.forEach((message, n) => {
    if (message.type !== 'batch') assert.ok(!client.received.messages[n].compressed, `${message.type} is sent as it is`);
  });
  await client.close();
}

async function withoutAnOfferNothingIsCompressed() {
  const client = await Client.connect(false);
  assert.equal(client.socket.extensions, '');
  const at = await client.largeBatch('node-plain');
  assert.ok(!client.received.messages[at].compressed);
  await client.close();
}

async function compressedCommandsAreUnderstoodWholeAndInParts() {
  const client = await Client.connect();
  const room = 'node-commands';
  await client.join(room);
  for (const text of ['嗨', '字'.repeat(200)]) {
    const ack = await client.ask({ type: 'publish', room, body: { text } }, { compress: true });
    assert.equal(ack.type, 'ack', JSON.stringify(ack));
    assert.equal(ack.event.body.text, text);
  }
  const body = { list: Array.from({ length: 900 }, () => '项') };
  const command = JSON.stringify({ type: 'publish', room, kind: 'x-list', body, id: 1_000 });
  for (let at = 0; at < command.length; at += 700) {
    client.socket.send(command.slice(at, at + 700), { compress: true, fin: at + 700 >= command.length });
  }
  assert.deepEqual((await client.find((message) => message.id === 1_000)).event.body, body);
  const pong = once(client.socket, 'pong');
  client.socket.ping('在吗');
  assert.equal((await within('the pong', pong))[0].toString(), '在吗');
  await client.close();
}

async function misdeedsAreClosedWithTheirCodes() {
  const misdeeds = [
    [1003, (socket) => socket.send(Buffer.from('{}'))],
    [1009, (socket) => socket.send(' '.repeat(16 * 1024 + 1))],
    [4502, (socket) => { for (let n = 0; n < 8; n += 1) socket.send('喂'); }],
  ];
  for (const [code, misdeed] of misdeeds) {
    const client = await Client.connect();
    await client.join('node-closing');
    misdeed(client.socket);
    assert.equal(await within(`close ${code}`, client.closed), code);
  }
  for (const code of [1000, 1001, 4999]) await (await Client.connect()).close(code);
  const client = await Client.connect();
  client.socket.close();
  assert.equal(await within('the close', client.closed), 1005, 'no code is answered with none');
}

try {
  await run([
    batchesComeCompressedAndIntact,
    withoutAnOfferNothingIsCompressed,
    compressedCommandsAreUnderstoodWholeAndInParts,
    misdeedsAreClosedWithTheirCodes,
  ]);
} finally {
  await proxy.stop();
}
