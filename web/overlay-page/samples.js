// Messages made up on the spot, for setting up a scene (`?test=1`). They never
// leave the page.
import { COLORS, LINES, NAMES } from '../crowd/lines.js';

const EVERY_MS = [250, 900];
const pick = (list) => list[Math.floor(Math.random() * list.length)];

/** Calls `show(event)` for ever, a little irregularly. */
export function playSamples(show, count = 0) {
  show(sample(count));
  const [least, most] = EVERY_MS;
  setTimeout(() => playSamples(show, count + 1), least + Math.random() * (most - least));
}

function sample(count) {
  const id = Math.floor(Math.random() * NAMES.length);
  const event = { id: `sample-${count}`, kind: 'chat', ts: Date.now(), user: { id: `sample-${id}`, name: NAMES[id], roles: [], level: 1 }, body: { text: pick([...LINES.zh, ...LINES.en]), mode: 'scroll', color: Math.random() < 0.6 ? '#ffffff' : pick(COLORS), size: 'medium' } };
  if (count % 11 === 3) return { ...event, kind: 'gift', body: { gift: pick(['🌹', '🍵', '🚀', '小心心']), count: 1 + Math.floor(Math.random() * 9) } };
  if (count % 23 === 7) return { ...event, kind: 'paid', body: { text: event.body.text, amount: pick([5, 10, 30, 50]), currency: 'USD' } };
  if (count % 9 === 5) event.body.mode = pick(['top', 'bottom']);
  return event;
}
