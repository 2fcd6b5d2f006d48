/** Canvas renderer of danmaku, with lanes, a bitmap cache and hard limits. */

import type { BarrageEvent, DanmakuMode } from './barrage.js';

export interface OverlaySettings {
  /** Share of the height that may be covered. Default 1. */
  area: number;
  /** 0 to 1. Default 1. */
  opacity: number;
  /** 1: a text crosses in 8 s. 0.25 to 4. */
  speed: number;
  /** 1: medium text is 24 CSS px high. 0.5 to 3. */
  fontScale: number;
  /** 1: as many as fit without overlap; 0.5: half of that. 0.05 to 1. */
  density: number;
  /** Added before events are shown, to match video latency. 0 to 60,000. */
  delayMs: number;
  /** Texts that contain one of these (any case and width) are not shown. */
  blockWords: string[];
  /** User ids. */
  blockUsers: string[];
  blockModes: DanmakuMode[];
  /** Stops motion; what arrives meanwhile is dropped when its time has passed. */
  paused: boolean;
  fontFamily: string;
  /** Texts on screen at a time. Default 300, at most 500. */
  maxOnScreen: number;
  /** Default 2,000, at most 5,000. */
  queueMax: number;
  /** How long a text may wait for a lane beyond its time. Default 500 ms. */
  lateMs: number;
  /** Default 6 s: how long top and bottom texts stay. */
  holdMs: number;
  /** Pixels of cached bitmaps; default 4 million (16 MB). */
  cachePixelsMax: number;
  /**
   * `respect` (default): where the system asks for reduced motion, moving texts
   * stand at the top instead. `ignore`: always move. `always`: never move.
   */
  reducedMotion: 'respect' | 'ignore' | 'always';
  /** Cap of devicePixelRatio. Default 2. */
  pixelRatioMax: number;
}

export interface OverlayOptions extends Partial<OverlaySettings> {
  /** The text of an event; nothing or '' is not shown. Default: `body.text`. */
  text?: (event: BarrageEvent) => string | undefined;
  /** Milliseconds, any origin; default `performance.now`. */
  now?: () => number;
  random?: () => number;
  requestAnimationFrame?: (run: (now: number) => void) => number;
  cancelAnimationFrame?: (handle: number) => void;
  createCanvas?: (width: number, height: number) => any;
  createImage?: () => any;
  document?: any;
  window?: any;
}

export interface OverlayStats {
  /** Since the beginning. */
  shown: number;
  /** No room, too late, or over a limit. */
  dropped: number;
  /** Not shown because of a block list. */
  blocked: number;
  onScreen: number;
  queued: number;
  /** Of the last full second with something on screen. */
  fps: number;
  /** Bitmaps in the cache, and their pixels. */
  cache: number;
  cachePixels: number;
}

export class Overlay {
  constructor(canvas: HTMLCanvasElement | any, options?: OverlayOptions);
  readonly stats: OverlayStats;
  /** The settings in force. */
  readonly settings: Readonly<OverlaySettings>;
  /**
   * Shows events, spread evenly over `tickMs`. `self`: at once and with priority
   * (also per event, by `event.self`).
   */
  push(events: BarrageEvent[], options?: { tickMs?: number; self?: boolean }): void;
  set(settings: Partial<OverlaySettings>): void;
  /** Takes events off the screen and out of the queue. */
  remove(ids: string | string[]): void;
  /** The same for everything of a user. */
  removeUser(userId: string): void;
  clear(): void;
  destroy(): void;
}
