/**
 * Client of the native protocol `barrage.v1`: one WebSocket, any number of
 * rooms, automatic reconnection and resume. Needs no DOM.
 */

/** Severity classes of the server's budget, with the number left out of each. */
export type LeftOut = Partial<
  Record<'control' | 'moderation' | 'paid' | 'staff' | 'chat' | 'ambient', number>
> & { [className: string]: number | undefined };

export type DanmakuMode = 'scroll' | 'top' | 'bottom' | 'reverse';
export type DanmakuSize = 'small' | 'medium' | 'large';

export interface Emote {
  /** The piece of `text` that the picture stands for. */
  code: string;
  url: string;
  width?: number;
  height?: number;
}

export interface ChatBody {
  text: string;
  mode?: DanmakuMode;
  /** `#rrggbb` */
  color?: string;
  size?: DanmakuSize;
  emotes?: Emote[];
}

export interface EventUser {
  id: string;
  name?: string;
  roles?: string[];
  level?: number;
}

/** A danmaku event as published. Only `body` of kind `chat` has a fixed shape. */
export interface BarrageEvent<Body = any> {
  id: string;
  /** `chat`, `gift`, `paid`, `enter`, `system`, `notice` or `x-…`. */
  kind: string;
  /** Receive time of the server, ms since 1970. */
  ts: number;
  user?: EventUser;
  body: Body;
  /** Set on the sender's own event when it comes with its ack. */
  self?: true;
}

/** How a room is set up; it may change at any time. */
export interface RoomSettings {
  /** Length of a batch's slot in ms; `Room.tickMs` follows it. */
  tick_ms?: number;
  chat_per_s?: number;
  higher_per_s?: number;
  /** How many of its newest events the room shows at most to those who join. */
  history_events?: number;
  /** Whether what is said here is kept for nobody who comes later. */
  ephemeral?: boolean;
  [field: string]: unknown;
}

export interface RoomState {
  online?: number;
  likes?: number;
  settings?: RoomSettings;
  pinned?: unknown;
  [field: string]: unknown;
}

export interface Status {
  state: 'connecting' | 'online' | 'reconnecting' | 'failed' | 'closed';
  /** Attempts since the last connection that held; 0 when all is well. */
  attempt: number;
  /** Time until the next attempt; 0 unless `reconnecting`. */
  delayMs: number;
  /** Why: a close reason of the server, `closed 1006`, `silence`, `timeout`, … */
  reason: string;
}

export interface Welcome {
  node?: string;
  user?: any;
  resumed: boolean;
  pingIntervalMs?: number;
  pingTimeoutMs?: number;
  limits: Record<string, number>;
}

export interface Goodbye {
  reason: string;
  reconnect: boolean;
  reconnectAfterMs?: number;
}

export interface Failed {
  reason: string;
  /** WebSocket close code, when the server ended the connection. */
  code?: number;
}

export interface Refusal {
  code: string;
  message: string;
  retryAfterMs?: number;
}

export interface Message {
  kind: string;
  body: any;
}

export interface ClientEvents {
  status: Status;
  welcome: Welcome;
  goodbye: Goodbye;
  /** Exactly once, when the client has given up. */
  failed: Failed;
  /** Refusals that answer no command and belong to no room. */
  error: Refusal;
  /** Sent by the server API to this user or to everybody. */
  message: Message;
  /** Frames that this client does not handle itself (signaling, media, …). */
  frame: Record<string, any>;
}

export interface Joined {
  cursor: string;
  /** Absent on a first join; `false` when the missed events are out of reach. */
  recovered?: boolean;
  /**
   * History, or what was missed. The new ones among them are also emitted, right
   * after `joined`, as a batch with `replay: true`: show one or the other.
   */
  events: BarrageEvent[];
  leftOut: LeftOut;
  /** Length of a batch's slot in ms. */
  tickMs: number;
  state: RoomState;
}

export interface Batch {
  /** Never shown before: duplicates are removed by id. */
  events: BarrageEvent[];
  leftOut: LeftOut;
  tickMs: number;
  /** Only what changed; the room's `state` event has the whole. */
  state: RoomState;
  /** History or missed events of a join. */
  replay: boolean;
  /** The one event is our own, acknowledged just now. */
  self: boolean;
}

/** Events that cannot be shown: tell people, they may have missed something. */
export interface Gap {
  from: string;
  to: string;
  /** How many; 0 where nobody can know it. */
  count: number;
  /**
   * `slow`: this client did not read. `lost`: the cluster has lost them.
   * `expired`: the room's log was out of reach, or a join was not recovered
   * (then the account starts anew, and this comes right before `joined`).
   */
  reason: 'slow' | 'lost' | 'expired' | string;
}

/** A batch did not continue where the last one ended, and no gap told why. */
export interface Hole {
  /** Cursor that was reached. */
  expected: string;
  /** Cursor that the batch continues. */
  prev: string;
}

/**
 * Over (joinedCursor, cursor]:
 * received + leftOut + gap + held - heldAtJoin = published.
 * Starts anew when a join was not recovered.
 */
export interface Accounting {
  received: number;
  leftOut: number;
  gap: number;
  /** Paid events at or before `cursor` which later batches will bring. */
  held: number;
  heldAtJoin: number;
  /** Holes seen; 0 on a healthy connection. */
  holes: number;
  joinedCursor: string | undefined;
  cursor: string | undefined;
}

export interface RoomEvents {
  joined: Joined;
  batch: Batch;
  gap: Gap;
  hole: Hole;
  /** The merged state, after each change. */
  state: RoomState;
  /** A refused join, the end of a membership by the server, or a refusal that names this room and no command. */
  error: Refusal;
}

export interface PublishOptions {
  /** Default `chat`. */
  kind?: string;
  /** Idempotency key, at most 64 characters; made up when absent. */
  key?: string;
}

export interface Published {
  event: BarrageEvent;
  stored: boolean;
}

export interface Moderation {
  action:
    | 'mute' | 'unmute' | 'ban' | 'unban' | 'kick' | 'delete' | 'purge'
    | 'clear' | 'silence' | 'slow' | 'lock' | 'pin' | 'role';
  target?: any;
  seconds?: number;
  reason?: string;
}

/** A refusal by the server, or by the client itself (`unavailable`, `busy`). */
export class BarrageError extends Error {
  constructor(code: string, message?: string, retryAfterMs?: number);
  readonly name: 'BarrageError';
  readonly code: string;
  readonly retryAfterMs: number | undefined;
}

/** A room that the client keeps joined. Made by `BarrageClient.join`. */
export class Room {
  private constructor();
  readonly name: string;
  /** Whether the server has confirmed the join on the present connection. */
  readonly joined: boolean;
  readonly state: RoomState;
  readonly tickMs: number;
  readonly accounting: Accounting;
  on<T extends keyof RoomEvents>(type: T, handler: (value: RoomEvents[T]) => void): () => void;
  /**
   * Publishes once, also over a reconnect. Rejects with `BarrageError`;
   * `unavailable` when no answer came within 10 s, `busy` above 32 at a time.
   */
  publish(body: ChatBody, options?: PublishOptions & { kind?: 'chat' }): Promise<Published>;
  publish(body: Record<string, unknown>, options: PublishOptions & { kind: string }): Promise<Published>;
  /** Counts likes, sent together and at most once per second. */
  like(count?: number): void;
  moderate(command: Moderation): Promise<Record<string, any>>;
  leave(): void;
}

/** What the client needs of a WebSocket class (browsers, Deno, `ws`). */
export interface WebSocketLike {
  readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: any;
  onmessage: any;
  onclose: any;
  onerror: any;
}

/** What the client needs of an EventSource class. */
export interface EventSourceLike {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: any) => void): void;
  close(): void;
}

export interface ClientOptions {
  /** `wss://…/ws`; http(s) and, in a page, relative addresses are taken too. */
  url: string;
  /** A token, or a function asked for one before every connection. */
  token?: string | (() => string | Promise<string>);
  /** Display name of an anonymous user. */
  name?: string;
  WebSocket?: new (url: string, protocols?: string | string[]) => WebSocketLike;
  /**
   * Whether rooms are watched over server-sent events when no WebSocket has ever
   * worked after two attempts: for viewing only, publishes reject with
   * `unavailable`. Default true, where there is an `EventSource`.
   */
  fallback?: boolean;
  EventSource?: new (url: string) => EventSourceLike;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** At least 0, below 1. */
  random?: () => number;
  setTimeout?: (run: () => void, ms: number) => any;
  clearTimeout?: (timer: any) => void;
  /** Failed attempts in a row before giving up. Default: none, never. */
  retriesMax?: number;
  /** Default 20,000. Silence of 2.5 times as long counts as a lost connection. */
  pingMs?: number;
}

export class BarrageClient {
  /** Connects in the next microtask, so that handlers can be set first. */
  constructor(options: ClientOptions);
  readonly status: Status;
  on<T extends keyof ClientEvents>(type: T, handler: (value: ClientEvents[T]) => void): () => void;
  /** Joins, on this and every later connection. The same name gives the same room. */
  join(name: string, options?: { history?: number }): Room;
  /** Sends any command of the protocol while online; resolves with its reply. */
  command(fields: { type: string; [field: string]: any }): Promise<Record<string, any>>;
  /** Takes a new token into use, on this connection and on later ones. */
  refresh(token: string): Promise<void>;
  /** The server's clock in ms, as well as pings tell. */
  serverNow(): number;
  close(): void;
}
