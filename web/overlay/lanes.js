/**
 * Which lane a text may enter. Pure: an item is {width, speed, travelled,
 * forward, rank}, `travelled` counts from the edge where it entered, so that one
 * rule serves both directions.
 */

/** Free space between two texts of a lane, in lane heights. */
const GAP = 0.8;

export class MovingLanes {
  /** The items of each lane, in the order in which they entered. */
  #lanes = [];
  #width = 0;
  #gap = 0;

  resize(count, laneHeight, width) {
    this.#lanes.length = Math.min(this.#lanes.length, count);
    while (this.#lanes.length < count) this.#lanes.push([]);
    this.#gap = GAP * laneHeight;
    this.#width = width;
  }

  /** The first of `span` free lanes next to each other, or -1. */
  find(item, span, density) {
    for (let first = 0; first + span <= this.#lanes.length; first += 1) {
      if (this.#isFree(first, span, item, density)) return first;
    }
    return -1;
  }

  /** Whether any lane is clear at its entrance: a cheap check before measuring. */
  mayEnter(forward, density) {
    return this.#lanes.some((lane) => lane.length === 0 || this.#hasEntered(lane.at(-1), forward, density));
  }

  /**
   * The lane where an item that must be shown does the least harm, and whom it
   * replaces. Overlaps only where nobody of rank 0 is in the way.
   */
  force(item, span, density) {
    let best = undefined;
    for (let first = 0; first + span <= this.#lanes.length; first += 1) {
      const candidate = this.#harm(first, span, item, density);
      if (best === undefined || candidate.harm < best.harm) best = candidate;
    }
    return best ?? { first: -1, replaced: [] };
  }

  add(item, first, span) {
    for (let lane = first; lane < first + span; lane += 1) this.#lanes[lane].push(item);
  }

  delete(item, first, span) {
    for (let lane = first; lane < first + span; lane += 1) {
      const index = this.#lanes[lane]?.indexOf(item) ?? -1;
      if (index >= 0) this.#lanes[lane].splice(index, 1);
    }
  }

  #isFree(first, span, item, density) {
    for (let lane = first; lane < first + span; lane += 1) {
      const last = this.#lanes[lane].at(-1);
      if (last !== undefined && this.#collides(last, item, density)) return false;
    }
    return true;
  }

  #collides(last, item, density) {
    if (!this.#hasEntered(last, item.forward, density)) return true;
    // Caught up: our head reaches the far edge before their tail has left.
    const remaining = this.#width + last.width - last.travelled;
    return remaining / last.speed > this.#width / item.speed;
  }

  /** Fully on screen with a gap behind it; a lower density asks for a longer one. */
  #hasEntered(last, forward, density) {
    if (last.forward !== forward) return false;
    const headway = (last.width + this.#gap) / density;
    return last.travelled >= headway;
  }

  #harm(first, span, item, density) {
    const replaced = new Set();
    let overlaps = 0;
    let closeness = 0;
    for (let lane = first; lane < first + span; lane += 1) {
      const items = this.#lanes[lane];
      for (let index = items.length - 1; index >= 0; index -= 1) {
        const other = items[index];
        if (!this.#collides(other, item, density)) break;
        if (other.rank === 0) replaced.add(other);
        else {
          overlaps += 1;
          closeness = Math.max(closeness, 1 - other.travelled / (this.#width + other.width));
        }
      }
    }
    return { first, replaced: [...replaced], harm: overlaps * 1_000 + closeness * 100 + replaced.size };
  }
}

/** Standing texts cover moving ones; more of them than this hide the picture. */
const STANDING_SHARE = 1 / 3;

/** Lanes of texts that stand still: one item each, from the top or from the bottom. */
export class StandingLanes {
  #lanes = [];

  resize(count) {
    this.#lanes.length = Math.min(this.#lanes.length, count);
    while (this.#lanes.length < count) this.#lanes.push(undefined);
  }

  find(fromTop, span, density) {
    const used = this.#lanes.filter((item) => item !== undefined).length;
    const most = Math.ceil(this.#lanes.length * STANDING_SHARE * density);
    if (used + span > Math.max(span, most)) return -1;
    return this.#firsts(fromTop, span).find((first) => this.#within(first, span).length === 0) ?? -1;
  }

  /** The lanes whose items matter least and have stood longest. */
  force(fromTop, span) {
    let best = { first: -1, replaced: [], harm: Infinity };
    for (const first of this.#firsts(fromTop, span)) {
      const replaced = this.#within(first, span);
      const harm = replaced.reduce((sum, item) => sum + item.rank * 1e9 + item.leftMs + 1, 0);
      if (harm < best.harm) best = { first, replaced, harm };
    }
    return best;
  }

  add(item, first, span) {
    this.#lanes.fill(item, first, first + span);
  }

  delete(item, first, span) {
    for (let lane = first; lane < first + span; lane += 1) {
      if (this.#lanes[lane] === item) this.#lanes[lane] = undefined;
    }
  }

  #firsts(fromTop, span) {
    const count = Math.max(0, this.#lanes.length - span + 1);
    return Array.from({ length: count }, (_, index) => (fromTop ? index : count - 1 - index));
  }

  #within(first, span) {
    return [...new Set(this.#lanes.slice(first, first + span))].filter((item) => item !== undefined);
  }
}
