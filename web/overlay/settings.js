/** The overlay's settings: defaults, and the limits that no caller gets past. */

const FONT_FAMILY =
  '"PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", ' +
  'system-ui, sans-serif, "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji"';

export const DEFAULTS = Object.freeze({
  area: 1,
  opacity: 1,
  speed: 1,
  fontScale: 1,
  density: 1,
  delayMs: 0,
  blockWords: [],
  blockUsers: [],
  blockModes: [],
  paused: false,
  fontFamily: FONT_FAMILY,
  maxOnScreen: 300,
  queueMax: 2_000,
  lateMs: 500,
  holdMs: 6_000,
  cachePixelsMax: 4_000_000,
  reducedMotion: 'respect',
  pixelRatioMax: 2,
});

const RANGES = {
  area: [0.1, 1],
  opacity: [0, 1],
  speed: [0.25, 4],
  fontScale: [0.5, 3],
  density: [0.05, 1],
  delayMs: [0, 60_000],
  maxOnScreen: [1, 500],
  queueMax: [1, 5_000],
  lateMs: [0, 5_000],
  holdMs: [500, 30_000],
  cachePixelsMax: [100_000, 16_000_000],
  pixelRatioMax: [0.5, 4],
};

const BLOCKED_MAX = 1_000;
const CHOICES = { reducedMotion: ['respect', 'ignore', 'always'] };

/** `current` with those of `changes` that make sense, numbers held in their range. */
export function merged(current, changes) {
  const next = { ...current };
  for (const [name, value] of Object.entries(changes)) {
    const sound = soundValue(name, value);
    if (sound !== undefined) next[name] = sound;
  }
  return next;
}

function soundValue(name, value) {
  if (name in RANGES) {
    const [least, most] = RANGES[name];
    return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : undefined;
  }
  if (name in CHOICES) return CHOICES[name].includes(value) ? value : undefined;
  if (Array.isArray(DEFAULTS[name])) return Array.isArray(value) ? value.slice(0, BLOCKED_MAX).map(String) : undefined;
  if (name === 'paused') return Boolean(value);
  if (name === 'fontFamily') return typeof value === 'string' && value !== '' ? value : undefined;
  return undefined;
}
