// A small stand-in for the gateway: enough of `barrage.v1`, and the same pages
// and headers, for the browser tests to run without a build. No moderation, no
// resume on another node, no signaling.
//
// In: HTTP and WebSocket on a free port. Out: a batch per room and second.
// Run by hand: `node web/tests/fake-gateway.mjs [port]`.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { WebSocketServer } from 'ws';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const TICK_MS = 1000;
const HISTORY_MAX = 100;
const CHAT_PER_TICK = 40;
const PUBLISHES_MAX = 5;
const PUBLISHES_WINDOW_MS = 5000;
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const policy = (host) => `default-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws://${host} wss://${host}; base-uri 'none'; form-action 'none'; object-src 'none'`;
const HEADERS = {
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
};

/** One room: its log as events and the members that want it. */
class Room {
  constructor(name) {
    Object.assign(this, { name, epoch: 'fake', seq: 0, history: [], open: [], members: new Set(), likes: 0, told: '' });
  }

  cursor(seq = this.seq) { return `${this.epoch}:${seq}`; }

  state() { return { online: this.members.size, likes: this.likes, settings: {}, pinned: null }; }

  joined(since, historyMax) {
    const [epoch, seq] = String(since).split(':');
    const after = since === undefined || epoch !== this.epoch ? null : Number(seq);
    const events = after === null
      ? this.history.slice(historyMax ? -historyMax : this.history.length)
      : this.history.filter((entry) => entry.seq > after);
    const reply = { type: 'joined', room: this.name, cursor: this.cursor(), events: events.map((e) => e.event), tick_ms: TICK_MS, state: this.state() };
    if (since !== undefined) reply.recovered = after !== null;
    return reply;
  }

  publish(event) {
    this.seq += 1;
    this.history.push({ seq: this.seq, event });
    if (this.history.length > HISTORY_MAX) this.history.shift();
    this.open.push({ seq: this.seq, event });
  }

  /** Tells everybody that so many events cannot be shown. */
  lose(count, reason) {
    const from = this.cursor();
    this.seq += count;
    for (const member of this.members) {
      member.heads.set(this.name, this.seq);
      member.send({ type: 'gap', room: this.name, from, to: this.cursor(), count, reason });
    }
  }

  /** Forgets everything: cursors of before lead nowhere. */
  beginAnew() {
    Object.assign(this, { epoch: `${this.epoch}-again`, seq: 0, history: [], open: [] });
  }

  /** Ends the slot: each member is told what came after its own head. */
  tick() {
    const state = JSON.stringify({ online: this.members.size, likes: this.likes });
    const changed = state !== this.told;
    this.told = state;
    const slot = this.open;
    this.open = [];
    if (!slot.length && !changed) return;
    for (const member of this.members) {
      const head = member.heads.get(this.name);
      const mine = slot.filter((entry) => entry.seq > head);
      const kept = mine.slice(0, CHAT_PER_TICK);
      const frame = { type: 'batch', room: this.name, prev: this.cursor(head), cursor: this.cursor(), events: kept.map((e) => e.event) };
      if (mine.length > kept.length) frame.left_out = { chat: mine.length - kept.length };
      if (changed) frame.state = JSON.parse(state);
      member.heads.set(this.name, this.seq);
      member.send(frame);
    }
  }
}

/** One connection and the commands that it may send. */
class Member {
  constructor(socket, gateway, user) {
    Object.assign(this, { socket, gateway, user, heads: new Map(), sent: [] });
    socket.on('message', (data) => this.receive(String(data)));
    socket.on('close', () => { for (const room of this.heads.keys()) gateway.room(room).members.delete(this); });
    this.send({ type: 'welcome', node: 'fake', user, resumed: false, ping_interval_ms: 25000, ping_timeout_ms: 60000, limits: { text_chars_max: 200 } });
  }

  send(frame) { if (this.socket.readyState === 1) this.socket.send(JSON.stringify(frame)); }

  receive(text) {
    let command;
    try { command = JSON.parse(text); } catch { return this.refuse(undefined, 'bad_request', 'not JSON'); }
    const room = command.room === undefined ? null : this.gateway.room(String(command.room));
    switch (command.type) {
      case 'ping': return this.send({ type: 'pong', ts: command.ts, now: Date.now(), id: command.id });
      case 'ack': return undefined;
      case 'join':
        room.members.add(this);
        this.heads.set(room.name, room.seq);
        return this.send({ ...room.joined(command.since, command.history), id: command.id });
      case 'leave':
        room.members.delete(this);
        this.heads.delete(room.name);
        return this.send({ type: 'left', room: room.name, id: command.id });
      case 'publish': return this.publish(room, command);
      default: return this.refuse(command.id, 'unknown_type', `unknown type ${command.type}`);
    }
  }

  publish(room, command) {
    if (!this.heads.has(room.name)) return this.refuse(command.id, 'not_joined', 'join first');
    if (command.kind === 'like') {
      room.likes += Number(command.body?.count ?? command.body?.n ?? 1) || 1;
      return this.send({ type: 'ack', id: command.id, event: { kind: 'like', body: command.body }, stored: false });
    }
    const now = Date.now();
    this.sent = this.sent.filter((at) => at > now - PUBLISHES_WINDOW_MS);
    if (this.sent.length >= PUBLISHES_MAX) {
      return this.refuse(command.id, 'rate_limited', 'too many messages', this.sent[0] + PUBLISHES_WINDOW_MS - now);
    }
    const body = command.body ?? {};
    const text = String(body.text ?? '').replace(/^[\p{Cc}\s]+|[\p{Cc}\s]+$/gu, '');
    if (!text || [...text].length > 200) return this.refuse(command.id, 'bad_request', 'text must have 1 to 200 characters');
    this.sent.push(now);
    const event = { id: `f${now.toString(36)}${(this.gateway.ids += 1).toString(36)}`, kind: command.kind ?? 'chat', ts: now, user: this.user, body: { mode: 'scroll', color: '#ffffff', size: 'medium', ...body, text } };
    room.publish(event);
    return this.send({ type: 'ack', id: command.id, event, stored: true });
  }

  refuse(id, code, message, retryAfterMs) {
    this.send({ type: 'error', id, code, message, retry_after_ms: retryAfterMs });
  }
}

/**
 * Starts a fake gateway. `base` is a path prefix such as `/live`; with a `refusal` {code, reason} nobody is let in.
 * `joined` waits for so many members of a room, `dropAll` cuts every connection, `publish` plays the server API, `lose` tells a
 * gap, and `beginAnew` makes a room forget its log.
 */
export async function startFakeGateway({ port = 0, dev = true, base = '', refusal } = {}) {
  const rooms = new Map();
  const gateway = { ids: 0, users: 0, room: (name) => rooms.get(name) ?? rooms.set(name, new Room(name)).get(name) };
  const http = createServer((request, response) => serve(request, response, base, dev));
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024, handleProtocols: (offered) => (offered.has('barrage.v1') ? 'barrage.v1' : false) });
  http.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url, 'http://fake');
    if (url.pathname !== `${base}/ws`) return socket.destroy();
    return sockets.handleUpgrade(request, socket, head, (ws) => {
      if (refusal) return ws.close(refusal.code, refusal.reason);
      const id = String((gateway.users += 1));
      return new Member(ws, gateway, { id, name: url.searchParams.get('name') || `guest-${id}`, roles: [], level: 1 });
    });
  });
  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  const timer = setInterval(() => rooms.forEach((room) => room.tick()), TICK_MS);
  const cut = () => sockets.clients.forEach((ws) => ws.terminate());
  return {
    url: `http://127.0.0.1:${http.address().port}${base}/`,
    dropAll: cut,
    async joined(room, count) {
      while (gateway.room(room).members.size < count) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    lose: (room, count, reason) => gateway.room(room).lose(count, reason),
    beginAnew: (room) => gateway.room(room).beginAnew(),
    publish: (room, event) => gateway.room(room).publish({ id: `s${(gateway.ids += 1)}`, ts: Date.now(), user: { id: '0', name: 'server', roles: [], level: 0 }, ...event }),
    async close() {
      clearInterval(timer);
      cut();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

async function serve(request, response, base, dev) {
  const { pathname } = new URL(request.url, 'http://fake');
  if (pathname === `${base}/client.json`) {
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json' });
    return response.end(JSON.stringify({ dev, tick_ms: TICK_MS }));
  }
  const name = page(pathname.slice(base.length));
  try {
    const body = await readFile(path.join(WEB, name));
    response.writeHead(200, { ...HEADERS, 'Content-Security-Policy': policy(request.headers.host), 'Content-Type': `${TYPES[path.extname(name)]}; charset=utf-8` });
    return response.end(body);
  } catch {
    response.writeHead(404, HEADERS);
    return response.end('not found');
  }
}

/** The file below `web/` that answers a path; `none` where nothing does. */
function page(pathname) {
  if (pathname === '/') return 'index.html';
  if (pathname === '/overlay') return 'overlay.html';
  const asset = /^\/assets\/((?:[\w-]+\/)*[\w-]+\.(?:js|css|svg))$/.exec(pathname);
  return asset ? asset[1] : 'none';
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const gateway = await startFakeGateway({ port: Number(process.argv[2] ?? 0) });
  console.log(gateway.url);
}
