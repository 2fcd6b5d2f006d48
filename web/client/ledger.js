/**
 * Where a viewer stands in a room's log, and what became of every event:
 * over (joinedCursor, cursor], received + leftOut + gap + held - heldAtJoin is
 * what was published. In: `joined`, `batch` and `gap` frames.
 */

const GAPS_MAX = 64;

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

  joined({ cursor, recovered, events, left_out: leftOut, held }) {
    this.#gaps.clear();
    this.held = Number.isFinite(held) ? held : 0;
    if (this.joinedCursor !== undefined && recovered === true) {
      this.received += events.length;
      this.leftOut += sum(leftOut);
    } else {
      this.received = this.leftOut = this.gap = this.holes = 0;
      this.heldAtJoin = this.held;
      this.joinedCursor = cursor;
    }
    this.cursor = cursor;
  }

  /** Counts a batch. Returns the hole before it, or undefined. */
  batch({ prev, cursor, events, left_out: leftOut, held }) {
    this.received += events.length;
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
    this.gap += Number.isFinite(count) ? count : 0;
    this.#gaps.set(from, to);
    if (this.#gaps.size > GAPS_MAX) this.#gaps.delete(this.#gaps.keys().next().value);
    this.#follow();
  }

  snapshot() {
    const { received, leftOut, gap, held, heldAtJoin, holes, joinedCursor, cursor } = this;
    return { received, leftOut, gap, held, heldAtJoin, holes, joinedCursor, cursor };
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
