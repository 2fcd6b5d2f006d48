/** What the overlay makes of an event: the text, how to show it, how much it matters. */

/** Above 0: always admitted. */
export const RANK = Object.freeze({ normal: 0, staff: 1, paid: 2, self: 3 });

const MODES = new Set(['scroll', 'top', 'bottom', 'reverse']);
const SIZES = new Set(['small', 'medium', 'large']);
const STAFF_ROLES = new Set(['owner', 'moderator', 'admin', 'staff']);
const PAID_KINDS = new Set(['gift', 'paid']);
const CHARACTERS_MAX = 300;
const EMOTES_MAX = 16;

/** An entry for the queue, or undefined when there is nothing to show. */
export function entryOf(event, text, self) {
  const line = oneLine(text);
  if (line === '') return undefined;
  const { mode, color, size, emotes } = event.body ?? {};
  return {
    id: event.id,
    userId: event.user?.id,
    text: line,
    mode: MODES.has(mode) ? mode : 'scroll',
    size: SIZES.has(size) ? size : 'medium',
    color: typeof color === 'string' && /^#[0-9a-f]{6}$/i.test(color) ? color.toLowerCase() : '#ffffff',
    emotes: Array.isArray(emotes) ? emotes.slice(0, EMOTES_MAX) : [],
    rank: rankOf(event, self),
    dueMs: 0,
    layout: undefined,
  };
}

function rankOf(event, self) {
  if (self) return RANK.self;
  if (PAID_KINDS.has(event.kind)) return RANK.paid;
  return event.user?.roles?.some?.((role) => STAFF_ROLES.has(role)) ? RANK.staff : RANK.normal;
}

/** Without control characters, line breaks and halves of surrogate pairs. */
function oneLine(text) {
  if (typeof text !== 'string') return '';
  return text
    .slice(0, CHARACTERS_MAX)
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replace(/\p{Cs}/gu, '')
    .trim();
}
