/**
 * A stand-in for a WebSocket where none can be opened: rooms come as server-sent
 * events, one stream each, and the link and the rooms notice no difference. It
 * answers commands itself: joins and leaves open and close streams, everything
 * else is refused, since events flow one way only.
 */

const OPEN = 1;
const CLOSED = 3;
/** `EventSource.CLOSED`: the answer was no stream, and no other try is made. */
const REFUSED = 2;
const TRY_AGAIN_MS = 5_000;

/** Connections without a `welcome` before events are tried. */
export const FALLBACK_ATTEMPTS = 2;

export class EventSocket {
  readyState = OPEN;
  bufferedAmount = 0;
  #url;
  #EventSource;
  /** By room. */
  #sources = new Map();

  /** `url`: the address that a WebSocket would have had, with its query. */
  constructor(url, EventSource) {
    this.#url = url;
    this.#EventSource = EventSource;
    this.#answer({ type: 'welcome', resumed: false, limits: {} });
  }

  send(text) {
    const command = JSON.parse(text);
    switch (command.type) {
      case 'join':
        return this.#join(command);
      case 'leave':
        this.#drop(command.room);
        return this.#answer({ type: 'left', id: command.id, room: command.room });
      case 'ping':
        return this.#answer({ type: 'pong', id: command.id, ts: command.ts });
      default:
        return this.#refuse(command.id, 'this network lets no WebSocket through: for viewing only');
    }
  }

  close() {
    this.readyState = CLOSED;
    for (const room of [...this.#sources.keys()]) this.#drop(room);
  }

  #join({ id, room, since, history }) {
    this.#drop(room);
    const source = new this.#EventSource(eventsUrl(this.#url, room, since, history));
    this.#sources.set(room, source);
    let joined = false;
    const listen = (name, run) =>
      source.addEventListener(name, (event) => {
        if (this.#sources.get(room) === source) run(event);
      });
    listen('joined', (event) => {
      joined = true;
      this.#hear(JSON.stringify({ ...JSON.parse(event.data), id }));
    });
    for (const name of ['batch', 'gap', 'message']) listen(name, (event) => this.#hear(event.data));
    listen('goodbye', (event) => {
      this.#hear(event.data);
      this.#end();
    });
    listen('error', (event) => {
      // The gateway's refusal and a lost connection have the same name here.
      if (event.data !== undefined) {
        this.#drop(room);
        const error = JSON.parse(event.data);
        this.#hear(JSON.stringify(joined ? error : { ...error, id }));
        // The end of the stream is the end of the stay.
        if (joined) this.#hear(JSON.stringify({ type: 'left', room }));
      } else if (!joined && source.readyState === REFUSED) {
        this.#drop(room);
        this.#refuse(id, 'the room cannot be watched', TRY_AGAIN_MS);
      } else {
        this.#end();
      }
    });
  }

  #drop(room) {
    this.#sources.get(room)?.close();
    this.#sources.delete(room);
  }

  /** The link comes back when it sees fit, and then with cursors. */
  #end() {
    if (this.readyState === CLOSED) return;
    this.close();
    this.onclose?.({ code: 1006, reason: '' });
  }

  #refuse(id, message, retryAfterMs) {
    this.#answer({ type: 'error', id, code: 'unavailable', message, retry_after_ms: retryAfterMs });
  }

  /** Later, as a network would: whoever sends is not ready for the answer yet. */
  #answer(frame) {
    queueMicrotask(() => this.#hear(JSON.stringify(frame)));
  }

  #hear(data) {
    if (this.readyState === OPEN) this.onmessage?.({ data });
  }
}

/** `wss://host/base/ws?…` becomes `https://host/base/v1/rooms/{room}/events?…`. */
function eventsUrl(socketUrl, room, since, history) {
  const url = new URL(socketUrl.replace(/^ws/, 'http'));
  url.pathname = url.pathname.replace(/\/ws$/, `/v1/rooms/${encodeURIComponent(room)}/events`);
  if (since !== undefined) url.searchParams.set('since', since);
  if (history > 0) url.searchParams.set('history', history);
  return url.href;
}
