// The overlay page's address, parsed into types. A value out of range is moved
// into it, one that makes no sense is as if it were absent: a streamer sees
// danmaku, not an error. The table of parameters is in the README beside.

const MODES = ['scroll', 'top', 'bottom', 'reverse'];
const WORDS_MAX = 200;

/** The parameters of `search`, such as `?room=demo&area=0.5`. */
export function readParams(search) {
  const query = new URLSearchParams(search);
  const number = (name, otherwise, least, most) => {
    const text = query.get(name);
    const value = text === null || text.trim() === '' ? NaN : Number(text);
    return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : otherwise;
  };
  const choice = (name, values) => (values.includes(query.get(name)) ? query.get(name) : values[0]);
  const words = (name) => query.getAll(name).flatMap((text) => text.split(',')).map((word) => word.trim()).filter(Boolean).slice(0, WORDS_MAX);
  const modes = words('modes').filter((mode) => MODES.includes(mode));
  return {
    room: query.get('room') || 'demo',
    token: query.get('token') || undefined,
    mode: choice('mode', ['scroll', 'list', 'both']),
    area: number('area', 1, 0.05, 1),
    opacity: number('opacity', 1, 0, 1),
    speed: number('speed', 1, 0.25, 4),
    scale: number('scale', 1, 0.5, 3),
    density: number('density', 1, 0.05, 1),
    delayMs: number('delay', 0, 0, 60_000),
    blockWords: words('block'),
    blockModes: modes.length ? MODES.filter((mode) => !modes.includes(mode)) : [],
    max: Math.round(number('max', 200, 1, 500)),
    font: query.get('font') || undefined,
    stroke: number('stroke', 2, 0, 6),
    list: choice('list', ['left', 'right']),
    lines: Math.round(number('lines', 12, 1, 60)),
    fadeMs: number('fade', 0, 0, 3_600) * 1000,
    cards: query.get('cards') !== '0',
    status: query.get('status') === '1',
    test: query.get('test') === '1',
  };
}
