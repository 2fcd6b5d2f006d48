/**
 * Danmaku over a video: one canvas, no dependencies, constant memory. In: events.
 * Out: pixels. Holds the clock and the limits; who may enter which lane is
 * decided in `overlay/stage.js`, without any browser.
 */
import { Emotes } from './overlay/emotes.js';
import { entryOf } from './overlay/entry.js';
import { Filter } from './overlay/filter.js';
import { Painter } from './overlay/painter.js';
import { DueQueue } from './overlay/queue.js';
import { DEFAULTS, merged } from './overlay/settings.js';
import { Sprites } from './overlay/sprites.js';
import { Stage } from './overlay/stage.js';
import { Surface } from './overlay/surface.js';

/** A longer pause between frames counts as this much: texts never jump. */
const STEP_MS_MAX = 100;
/** Texts laid out or painted per frame; the others wait for the next one. */
const ADMISSIONS_MAX = 8;
const REFUSALS_MAX = 12;
const MOVING = new Set(['scroll', 'reverse']);

export class Overlay {
  #environment;
  #settings;
  #filter;
  #queue = new DueQueue();
  #stage;
  #surface;
  #sprites;
  #emotes;
  #painter;
  #reducedMotion;
  #shown = 0;
  #blocked = 0;
  #fps = { value: 0, frames: 0, sinceMs: undefined };
  #frameHandle = undefined;
  #lastFrameMs = undefined;
  #isHidden = false;
  #isDestroyed = false;
  #onVisibility = () => this.#visibilityChanged();

  constructor(canvas, options = {}) {
    const environment = environmentOf(options);
    this.#environment = environment;
    this.#settings = merged(DEFAULTS, options);
    this.#filter = new Filter(this.#settings);
    this.#sprites = new Sprites(environment.createCanvas);
    this.#emotes = new Emotes(environment.createImage, environment.document?.baseURI);
    this.#painter = new Painter(environment.createCanvas(1, 1).getContext('2d'), this.#emotes);
    this.#stage = new Stage((item) => this.#gone(item));
    this.#reducedMotion = environment.window?.matchMedia?.('(prefers-reduced-motion: reduce)');
    this.#surface = new Surface(canvas, environment.window, () => this.#resized());
    this.#surface.opacity = this.#settings.opacity;
    this.#surface.pixelRatioMax = this.#settings.pixelRatioMax;
    environment.document?.addEventListener?.('visibilitychange', this.#onVisibility);
  }

  get settings() {
    return { ...this.#settings };
  }

  get stats() {
    return {
      shown: this.#shown,
      dropped: this.#queue.dropped,
      blocked: this.#blocked,
      onScreen: this.#stage.items.length,
      queued: this.#queue.length,
      fps: this.#fps.value,
      cache: this.#sprites.size,
      cachePixels: this.#sprites.pixels,
    };
  }

  push(events, { tickMs = 0, self = false } = {}) {
    if (this.#isDestroyed) return;
    const { delayMs, queueMax, lateMs } = this.#settings;
    const nowMs = this.#environment.now();
    this.#queue.expire(nowMs, lateMs);
    const spacingMs = tickMs > 0 ? tickMs / Math.max(1, events.length) : 0;
    events.forEach((event, index) => {
      const isSelf = self || event?.self === true;
      const entry = this.#entryOf(event, isSelf);
      if (entry === undefined) return;
      entry.dueMs = isSelf ? nowMs : nowMs + delayMs + index * spacingMs;
      this.#queue.push(entry, queueMax);
    });
    this.#schedule();
  }

  set(changes) {
    const before = this.#settings;
    const after = merged(before, changes);
    const changed = (...names) => names.some((name) => before[name] !== after[name]);
    this.#settings = after;
    if (this.#isDestroyed) return;
    if (changed('opacity')) this.#surface.opacity = after.opacity;
    if (changed('blockWords', 'blockUsers', 'blockModes')) this.#refilter();
    if (changed('pixelRatioMax')) this.#surface.pixelRatioMax = after.pixelRatioMax;
    if (changed('fontScale', 'fontFamily', 'area')) this.#resized(changed('fontScale', 'fontFamily'));
    if (changed('cachePixelsMax')) this.#sprites.trim(after.cachePixelsMax);
    if (changed('paused')) this.#lastFrameMs = undefined;
    this.#schedule();
  }

  remove(ids) {
    const unwanted = new Set([ids].flat());
    this.#removeWhere(({ id }) => unwanted.has(id));
  }

  removeUser(userId) {
    this.#removeWhere((shown) => shown.userId === userId);
  }

  clear() {
    this.#removeWhere(() => true);
  }

  destroy() {
    if (this.#isDestroyed) return;
    this.clear();
    this.#isDestroyed = true;
    this.#cancel();
    this.#surface.destroy();
    this.#sprites.clear();
    this.#emotes.clear();
    this.#environment.document?.removeEventListener?.('visibilitychange', this.#onVisibility);
  }

  #entryOf(event, isSelf) {
    if (event === null || typeof event !== 'object') return undefined;
    const entry = entryOf(event, this.#environment.text(event), isSelf);
    if (entry === undefined) return undefined;
    if (!isSelf && !this.#filter.allows(entry.text, entry.mode, entry.userId)) {
      this.#blocked += 1;
      return undefined;
    }
    if (MOVING.has(entry.mode) && this.#standsStill()) entry.mode = 'top';
    return entry;
  }

  #standsStill() {
    const { reducedMotion } = this.#settings;
    return reducedMotion === 'always' || (reducedMotion === 'respect' && this.#reducedMotion?.matches === true);
  }

  #refilter() {
    this.#filter = new Filter(this.#settings);
    this.#removeWhere(({ text, mode, userId }) => !this.#filter.allows(text, mode, userId));
  }

  #removeWhere(unwanted) {
    this.#queue.remove(unwanted);
    this.#stage.remove(unwanted);
    this.#schedule();
  }

  /** Bitmaps of another size would not fit the lanes: a new font starts with an empty screen. */
  #resized(fontChanged = false) {
    const { fontFamily, fontScale, area } = this.#settings;
    const { width, height, scale } = this.#surface;
    const fontSize = fontScale * scale;
    if (fontChanged || this.#painter.scale !== fontSize) {
      this.#painter.setFont(fontFamily, fontSize);
      this.#stage.clear();
      this.#sprites.clear();
    }
    this.#stage.resize(width, height * area, this.#painter.laneHeight);
    this.#schedule();
  }

  #visibilityChanged() {
    this.#isHidden = this.#environment.document.hidden;
    this.#lastFrameMs = undefined;
    this.#fps.sinceMs = undefined;
    if (this.#isHidden) this.#cancel();
    else this.#schedule();
  }

  #schedule() {
    if (this.#frameHandle !== undefined || this.#isHidden || this.#isDestroyed) return;
    this.#frameHandle = this.#environment.requestAnimationFrame((frameMs) => this.#frame(frameMs));
  }

  #cancel() {
    if (this.#frameHandle !== undefined) this.#environment.cancelAnimationFrame(this.#frameHandle);
    this.#frameHandle = undefined;
  }

  #frame(frameMs) {
    this.#frameHandle = undefined;
    this.#surface.checkRatio();
    const sinceMs = this.#lastFrameMs === undefined ? 0 : frameMs - this.#lastFrameMs;
    if (!this.#settings.paused) {
      this.#stage.advance(Math.min(STEP_MS_MAX, Math.max(0, sinceMs)), this.#settings.speed);
      this.#admitDue();
    }
    this.#draw();
    this.#count(frameMs);
    this.#lastFrameMs = frameMs;
    const isBusy = this.#stage.items.length > 0 || this.#queue.length > 0;
    if (isBusy && !this.#settings.paused) this.#schedule();
    else this.#lastFrameMs = this.#fps.sinceMs = undefined;
  }

  #admitDue() {
    const budget = { admissions: ADMISSIONS_MAX, refusals: REFUSALS_MAX, full: new Set() };
    this.#queue.offer(this.#environment.now(), this.#settings.lateMs, (entry) => this.#admit(entry, budget));
    this.#sprites.trim(this.#settings.cachePixelsMax);
  }

  #admit(entry, budget) {
    if (entry.rank === 0 && !this.#mayAdmit(entry, budget)) return false;
    if (entry.layout?.generation !== this.#painter.generation) entry.layout = this.#painter.layout(entry);
    const item = this.#stage.admit(entry, this.#settings);
    if (item === undefined) {
      budget.refusals -= 1;
      return false;
    }
    budget.admissions -= 1;
    item.sprite = this.#spriteOf(entry);
    this.#shown += 1;
    return true;
  }

  /** Cheap answers first: at 1,000 messages per second most entries end here. */
  #mayAdmit({ mode }, budget) {
    if (budget.admissions <= 0 || budget.refusals <= 0 || budget.full.has(mode)) return false;
    if (this.#stage.mayAdmit(mode, this.#settings)) return true;
    budget.full.add(mode);
    return false;
  }

  #spriteOf(entry) {
    const { key, width, height } = entry.layout;
    return this.#sprites.hold(key, width, height, (context, sprite) =>
      this.#painter.paint(context, entry, () => {
        this.#sprites.repaint(sprite);
        this.#schedule();
      }),
    );
  }

  #draw() {
    this.#surface.clear();
    const { items } = this.#stage;
    let important = 0;
    for (const item of items) {
      if (item.rank > 0) important += 1;
      else this.#surface.draw(item.sprite.canvas, this.#stage.x(item), item.y);
    }
    if (important === 0) return;
    for (const item of items) {
      if (item.rank > 0) this.#surface.draw(item.sprite.canvas, this.#stage.x(item), item.y);
    }
  }

  #count(frameMs) {
    const fps = this.#fps;
    if (fps.sinceMs === undefined) {
      fps.sinceMs = frameMs;
      fps.frames = 0;
      return;
    }
    fps.frames += 1;
    const elapsedMs = frameMs - fps.sinceMs;
    if (elapsedMs < 1_000) return;
    fps.value = Math.round((fps.frames * 1_000) / elapsedMs);
    fps.sinceMs = frameMs;
    fps.frames = 0;
  }

  #gone(item) {
    if (item.sprite !== undefined) this.#sprites.release(item.sprite);
    item.sprite = undefined;
  }
}

/** The browser, or what a test gives instead. */
function environmentOf(options) {
  const document = options.document ?? globalThis.document;
  const window = options.window ?? globalThis.window;
  return {
    document,
    window,
    text: options.text ?? ((event) => event.body?.text),
    now: options.now ?? (() => performance.now()),
    requestAnimationFrame: options.requestAnimationFrame ?? ((run) => globalThis.requestAnimationFrame(run)),
    cancelAnimationFrame: options.cancelAnimationFrame ?? ((handle) => globalThis.cancelAnimationFrame(handle)),
    createCanvas: options.createCanvas ?? (() => document.createElement('canvas')),
    createImage: options.createImage ?? (() => document.createElement('img')),
  };
}
