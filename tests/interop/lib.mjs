/** What the JavaScript clients share: the frames on a wire, the server API, and how checks run. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';

export const URL_PAGES = process.env.BARRAGE_URL;
export const URL_ADMIN = process.env.BARRAGE_ADMIN_URL;
export const PATIENCE_MS = 30_000;
/** A batch that is large enough to be compressed, and then some. */
export const EVENTS = 70;
export const EVENTS_MIN = 60;

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Takes apart one direction of a connection: an HTTP head, then WebSocket frames.
 * `messages` has one entry per data message: how long it was on the wire, and whether compressed.
 */
export class Wire {
  head = '';
  messages = [];
  #bytes = Buffer.alloc(0);
  #begun = null;

  push(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (!this.head) {
      const end = this.#bytes.indexOf(HEAD_END);
      if (end < 0) return;
      this.head = this.#bytes.subarray(0, end).toString();
      this.#bytes = this.#bytes.subarray(end + HEAD_END.length);
    }
    while (this.#frame());
  }

  #frame() {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const [first, second] = bytes;
    const short = second & 0x7f;
    const lengthBytes = { 126: 2, 127: 8 }[short] ?? 0;
    const header = 2 + lengthBytes + (second & 0x80 ? 4 : 0);
    if (bytes.length < header) return false;
    const length = lengthBytes === 2 ? bytes.readUInt16BE(2)
      : lengthBytes === 8 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (bytes.length < header + length) return false;
    this.#bytes = bytes.subarray(header + length);
    const opcode = first & 0x0f;
    if (opcode < 8) {
      if (opcode !== 0) this.#begun = { bytes: 0, compressed: (first & 0x40) !== 0, frames: 0 };
      this.#begun.bytes += length;
      this.#begun.frames += 1;
      if (first & 0x80) this.messages.push(this.#begun);
    }
    return true;
  }
}

/** Passes bytes on to the gateway and keeps what it needs to know of them. */
export class Proxy {
  connections = [];
  #server = net.createServer((client) => this.#pass(client));
  #sockets = new Set();

  static async start() {
    const proxy = new Proxy();
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    const host = `127.0.0.1:${proxy.#server.address().port}`;
    proxy.url = `http://${host}/`;
    proxy.wsUrl = `ws://${host}/ws`;
    return proxy;
  }

  #pass(client) {
    const { hostname, port } = new URL(URL_PAGES);
    const gateway = net.connect(Number(port), hostname);
    const connection = { sent: new Wire(), received: new Wire() };
    this.connections.push(connection);
    for (const [from, to, wire] of [[client, gateway, connection.sent], [gateway, client, connection.received]]) {
      this.#sockets.add(from);
      // Pages come over kept-open connections; frames only over upgraded ones.
      from.on('data', (bytes) => { if (wire === connection.sent || connection.sent.head.includes('Upgrade: websocket')) wire.push(bytes); });
      from.on('error', () => to.destroy());
      from.on('close', () => this.#sockets.delete(from));
      from.pipe(to);
    }
  }

  /** The connection whose upgrade asked for this path. */
  upgraded(path) {
    return this.connections.find(({ sent }) => sent.head.startsWith(`GET ${path} `) && sent.head.includes('Upgrade: websocket'));
  }

  async stop() {
    this.#sockets.forEach((socket) => socket.destroy());
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Danmaku for a room, as the application would send them; returns the events. */
export async function publish(room, texts) {
  const events = texts.map((text) => ({ room, body: { text } }));
  const answer = await fetch(`${URL_ADMIN}/v1/events`, {
    method: 'POST',
    headers: { authorization: 'Bearer dev', 'content-type': 'application/json' },
    body: JSON.stringify({ events }),
  });
  assert.equal(answer.status, 200);
  const { results } = await answer.json();
  assert.ok(results.every((result) => result.stored), JSON.stringify(results));
  return results.map((result) => result.event);
}

/** The texts of one lot of danmaku. */
export const lot = (number) => Array.from({ length: EVENTS }, (_, n) => `前方高能 ${number}-${n} 🎉 “弹幕”`);

/** Fails when something takes too long. */
export async function within(what, coming, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms); });
  try {
    return await Promise.race([coming, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks until there is something. */
export async function eventually(what, look) {
  const looking = async () => {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  };
  return within(what, looking());
}

/** Runs checks in order; a failure ends the process with its name. */
export async function run(checks) {
  for (const check of checks) {
    try {
      await within(check.name, check(), 2 * PATIENCE_MS);
    } catch (error) {
      console.error(`FAILED: ${check.name}`);
      throw error;
    }
    console.log(`ok: ${check.name}`);
  }
}
