/**
 * Where a viewer stands in a room's log, and what became of every event:
 * over (joinedCursor, cursor], received + leftOut + gap + held - heldAtJoin is
 * what was published. In: `joined`, `batch` and `gap` frames.
 */

import { Seen } from './seen.js';

const GAPS_MAX = 64;
/** A resume replays at most 1,000 events; those before it may still come in batches. */
const SEEN_MAX = 2_000;

export class Ledger {
  received = 0;
  leftOut = 0;
  gap = 0;
  held = 0;
  heldAtJoin = 0;
  holes = 0;
  joinedCursor = undefined;
  cursor = undefined;
  /** Gaps told ahead of the batches in front of them: from cursor -> to cursor. */
  #gaps = new Map();
  /** What was received: a resume may bring again what the last connection has brought. */
  #seen = new Seen(SEEN_MAX);

  /** Goes on, or starts anew. Returns what nobody accounts for any more, `{from, to}`, if that is something. */
  joined({ cursor, recovered, events, left_out: leftOut, held }) {
    const from = this.cursor;
    this.#gaps.clear();
    this.held = Number.isFinite(held) ? held : 0;
    if (this.joinedCursor !== undefined && recovered === true) {
      this.#receive(events);
      this.leftOut += sum(leftOut);
    } else {
      this.#seen = new Seen(SEEN_MAX);
      this.received = this.leftOut = this.gap = this.holes = 0;
      this.heldAtJoin = this.held;
      this.joinedCursor = cursor;
    }
    this.cursor = cursor;
    const isMissed = from !== undefined && recovered !== true && from !== cursor;
    return isMissed ? { from, to: cursor } : undefined;
  }

  /** Counts a batch. Returns the hole before it, or undefined. */
  batch({ prev, cursor, events, left_out: leftOut, held }) {
    this.#receive(events);
    this.leftOut += sum(leftOut);
    this.held = Number.isFinite(held) ? held : 0;
    const expected = this.#reached(prev);
    this.cursor = cursor;
    this.#follow();
    if (prev === undefined || expected === prev) return undefined;
    this.holes += 1;
    return { expected, prev };
  }

  lost({ from, to, count }) {
    this.gap += count;
    this.#gaps.set(from, to);
    if (this.#gaps.size > GAPS_MAX) this.#gaps.delete(this.#gaps.keys().next().value);
    this.#follow();
  }

  snapshot() {
    const { received, leftOut, gap, held, heldAtJoin, holes, joinedCursor, cursor } = this;
    return { received, leftOut, gap, held, heldAtJoin, holes, joinedCursor, cursor };
  }

  /** Counts each event once. */
  #receive(events) {
    for (const { id } of events) if (id === undefined || this.#seen.add(id)) this.received += 1;
  }

  /** The cursor, moved over a gap that begins right there. */
  #follow() {
    while (this.#gaps.has(this.cursor)) {
      const next = this.#gaps.get(this.cursor);
      this.#gaps.delete(this.cursor);
      this.cursor = next;
    }
  }

  /** A gap that starts inside a merged batch still explains a `prev` at its end. */
  #reached(prev) {
    if (this.cursor === prev) return prev;
    for (const [from, to] of this.#gaps) {
      if (to !== prev) continue;
      this.#gaps.delete(from);
      return prev;
    }
    return this.cursor;
  }
}

function sum(leftOut) {
  let total = 0;
  for (const count of Object.values(leftOut ?? {})) if (Number.isFinite(count)) total += count;
  return total;
}
