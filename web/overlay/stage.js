/**
 * What is on screen and where: admits texts to lanes, moves them, lets them go.
 * Pure: time comes in as steps, lengths are device pixels.
 */
import { MovingLanes, StandingLanes } from './lanes.js';

/** A text crosses the width in 8 s at speed 1. */
const CROSSING_MS = 8_000;
/** Long texts are faster, up to this many widths per crossing. */
const CROSSINGS_MAX = 2.2;

export class Stage {
  /** In the order of drawing. */
  items = [];
  #moving = new MovingLanes();
  #standing = new StandingLanes();
  #width = 0;
  #laneHeight = 1;
  #lanes = 0;
  #gone;

  /** `gone(item)` is called for each item that leaves, for whatever reason. */
  constructor(gone) {
    this.#gone = gone;
  }

  /** Items below the new bottom go; the others stay where they are. */
  resize(width, height, laneHeight) {
    this.#width = width;
    this.#laneHeight = laneHeight;
    this.#lanes = width > 0 ? Math.max(0, Math.floor(height / laneHeight)) : 0;
    this.remove((item) => item.first + item.span > this.#lanes);
    this.#moving.resize(this.#lanes, laneHeight, width);
    this.#standing.resize(this.#lanes);
  }

  /** Whether a normal text of this mode could find a lane at all. */
  mayAdmit(mode, { density, maxOnScreen }) {
    if (this.items.length >= maxOnScreen || this.#lanes === 0) return false;
    if (isStanding(mode)) return this.#standing.find(mode === 'top', 1, density) >= 0;
    return this.#moving.mayEnter(mode === 'scroll', density);
  }

  /** Takes an entry with its layout {width, height}. The item, or undefined when full. */
  admit(entry, settings) {
    if (this.items.length >= settings.maxOnScreen && !this.#makeRoom(entry)) return undefined;
    const item = this.#itemOf(entry, settings);
    if (item.span > this.#lanes) item.span = this.#lanes;
    if (item.span === 0) return undefined;
    const lanes = this.#lanesOf(item);
    const direction = isStanding(item.mode) ? item.mode === 'top' : item;
    item.first = lanes.find(direction, item.span, settings.density);
    if (item.first < 0 && item.rank === 0) return undefined;
    if (item.first < 0) {
      const { first, replaced } = lanes.force(direction, item.span, settings.density);
      this.#drop(new Set(replaced));
      item.first = first;
    }
    item.y = Math.round(item.first * this.#laneHeight + (item.span * this.#laneHeight - item.height) / 2);
    lanes.add(item, item.first, item.span);
    this.items.push(item);
    return item;
  }

  /** Moves on by `stepMs`; speed changes everything that moves alike. */
  advance(stepMs, speed) {
    let kept = 0;
    for (const item of this.items) {
      if (isStanding(item.mode)) item.leftMs -= stepMs;
      else item.travelled += item.speed * stepMs * speed;
      if (this.#isDone(item)) this.#release(item);
      else this.items[kept++] = item;
    }
    this.items.length = kept;
  }

  /** Where to draw an item: whole device pixels, so that bitmaps are only copied. */
  x(item) {
    if (item.mode === 'scroll') return Math.round(this.#width - item.travelled);
    if (item.mode === 'reverse') return Math.round(item.travelled - item.width);
    return Math.round((this.#width - item.width) / 2);
  }

  remove(unwanted) {
    this.#drop(new Set(this.items.filter(unwanted)));
  }

  clear() {
    this.remove(() => true);
  }

  #itemOf(entry, { holdMs }) {
    const { width, height } = entry.layout;
    return {
      id: entry.id,
      userId: entry.userId,
      text: entry.text,
      mode: entry.mode,
      rank: entry.rank,
      forward: entry.mode === 'scroll',
      width,
      height,
      speed: Math.min(this.#width + width, CROSSINGS_MAX * this.#width) / CROSSING_MS,
      travelled: 0,
      leftMs: holdMs,
      span: Math.max(1, Math.ceil((height - 1) / this.#laneHeight)),
      first: -1,
      y: 0,
      sprite: undefined,
    };
  }

  #lanesOf(item) {
    return isStanding(item.mode) ? this.#standing : this.#moving;
  }

  #isDone(item) {
    return isStanding(item.mode) ? item.leftMs <= 0 : item.travelled >= this.#width + item.width;
  }

  /** At the cap, what matters more takes the place of the oldest that does not. */
  #makeRoom(entry) {
    if (entry.rank === 0) return false;
    const oldest = this.items.find((item) => item.rank === 0);
    if (oldest === undefined) return false;
    this.#drop(new Set([oldest]));
    return true;
  }

  #drop(items) {
    if (items.size === 0) return;
    this.items = this.items.filter((item) => !items.has(item));
    for (const item of items) this.#release(item);
  }

  #release(item) {
    this.#lanesOf(item).delete(item, item.first, item.span);
    this.#gone(item);
  }
}

function isStanding(mode) {
  return mode === 'top' || mode === 'bottom';
}
