/**
 * A network that lets no WebSocket through: pages in Chromium watch a running gateway over
 * server-sent events; `run.sh` starts it and says where it is. They come through a proxy of this
 * test, which refuses upgrades and can cut streams.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';

import { Pages, launch, line, online } from '../../web/tests/pages-browser.mjs';
import { URL_PAGES, eventually, publish, run } from './lib.mjs';

/** Passes requests on, but for upgrades; answers `/blank` with a page that may do anything. */
class Censor {
  /** What was asked for, and with which headers. */
  requests = [];
  refused = 0;
  #streams = new Set();
  #server = http.createServer((request, response) => this.#pass(request, response));

  static async start() {
    const censor = new Censor();
    censor.#server.on('upgrade', (_request, socket) => {
      censor.refused += 1;
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    });
    censor.#server.listen(0, '127.0.0.1');
    await once(censor.#server, 'listening');
    censor.url = `http://127.0.0.1:${censor.#server.address().port}/`;
    return censor;
  }

  #pass(request, response) {
    const { url, headers, method } = request;
    this.requests.push({ url, headers });
    if (url === '/blank') return response.setHeader('content-type', 'text/html').end('<!doctype html><title>blank</title><link rel="icon" href="data:,">');
    const onwards = http.request(new URL(url, URL_PAGES), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onwards.on('error', () => response.destroy());
    response.on('close', () => { onwards.destroy(); this.#streams.delete(response); });
    request.pipe(onwards);
    this.#streams.add(response);
    return undefined;
  }

  /** Requests for the events of a room. */
  asked(room) {
    return this.requests.filter(({ url }) => url.startsWith(`/v1/rooms/${encodeURIComponent(room)}/events`));
  }

  /** Tears every stream off. */
  cut() {
    for (const response of this.#streams) response.destroy();
  }

  async stop() {
    this.cut();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

const censor = await Censor.start();
const browser = await launch();
const pages = new Pages(browser);
const REFUSED = /WebSocket connection to .* failed|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE/;

async function theDemoPageShowsARoomOverEvents() {
  const room = '被封锁的-1';
  const page = await pages.open(`${censor.url}?room=${encodeURIComponent(room)}`, { expected: REFUSED });
  await online(page);
  assert.equal(censor.refused, 2, 'two attempts with a WebSocket');
  await publish(room, ['没有 WebSocket 也行', 'second']);
  await Promise.all([line(page, '没有 WebSocket 也行'), line(page, 'second')]);
  const refusal = await page.evaluate(() => globalThis.barrage.room.publish({ text: 'x' }).catch(({ code }) => code));
  assert.equal(refusal, 'unavailable', 'it is for viewing only');

  // Torn off, it comes back with its cursor and is told what it has missed.
  const before = censor.asked(room).length;
  censor.cut();
  await publish(room, ['missed 1', 'missed 2']);
  await Promise.all([line(page, 'missed 1'), line(page, 'missed 2')]);
  const back = censor.asked(room);
  assert.ok(back.length > before);
  assert.match(new URL(back.at(-1).url, censor.url).searchParams.get('since'), /^[0-9a-f]+:\d+/);
  const { received, leftOut, gap, holes } = await page.evaluate(() => globalThis.barrage.room.accounting);
  assert.deepEqual({ received, leftOut, gap, holes }, { received: 4, leftOut: 0, gap: 0, holes: 0 });
  assert.equal(await page.locator('#chat-list .line .text').count(), 4, 'each is shown once');
}

/** Opens an `EventSource` in the page that keeps what it hears. */
const listen = (page, url) => page.evaluate((at) => {
  const source = new EventSource(at);
  globalThis.heard = [];
  globalThis.source = source;
  for (const name of ['joined', 'batch', 'gap', 'goodbye', 'error']) {
    source.addEventListener(name, ({ data, lastEventId }) => {
      if (data !== undefined) globalThis.heard.push({ ...JSON.parse(data), lastEventId });
    });
  }
}, url);

const heard = (page, count) => page.waitForFunction((least) => {
  const events = globalThis.heard.flatMap((message) => message.events ?? []);
  return events.length >= least && globalThis.heard;
}, count).then((handle) => handle.jsonValue());

async function aBrowserComesBackByItselfWithLastEventId() {
  const room = 'by-itself';
  const page = await pages.open(`${censor.url}blank`, { expected: REFUSED });
  await listen(page, `${censor.url}v1/rooms/${room}/events`);
  await page.waitForFunction(() => globalThis.heard.length > 0);
  await publish(room, ['before']);
  const [, first] = await heard(page, 1);
  assert.equal(first.lastEventId, first.cursor);
  censor.cut();
  await publish(room, ['meanwhile']);
  await eventually('a second request', () => (censor.asked(room).length >= 2 ? true : undefined));
  const messages = await heard(page, 2);
  assert.equal(censor.asked(room).at(-1).headers['last-event-id'], first.cursor);
  const again = messages.findLast(({ type }) => type === 'joined');
  assert.equal(again.recovered, true);
  await publish(room, ['after']);
  const events = (await heard(page, 3)).flatMap((message) => message.events ?? []);
  assert.deepEqual(events.map(({ body }) => body.text), ['before', 'meanwhile', 'after']);
}

async function aPageOfAnotherOriginMayListen() {
  const room = 'from-elsewhere';
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`${censor.url}blank`);
    await listen(page, new URL(`v1/rooms/${room}/events`, URL_PAGES).href);
    await page.waitForFunction(() => globalThis.heard.length > 0);
    await publish(room, ['hello']);
    await heard(page, 1);
  } finally {
    await context.close();
  }
}

try {
  await run([theDemoPageShowsARoomOverEvents, aBrowserComesBackByItselfWithLastEventId, aPageOfAnotherOriginMayListen]);
  await pages.close();
} finally {
  await browser.close();
  await censor.stop();
}
