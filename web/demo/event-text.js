// Words of an event, made safe to stand in a line of text beside others, and
// what a `notice` asks a page to take back. Shared by the demo and the overlay page.

const NAME_CHARS_MAX = 32;
/** Chats have 200 at most; what the application publishes can be longer. */
const TEXT_CHARS_MAX = 300;
/** Control characters, line and paragraph separators, and marks that turn the direction of what follows. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;
/** More than four marks on one letter climb out of their line. */
const PILED = /(\p{M}{4})\p{M}+/gu;

/** A text; nothing for what is none, since making one of a stranger's object can throw. */
const textOf = (value) => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');

/** Text of at most so many characters without those that disturb their surroundings. */
export function plain(text, charsMax = TEXT_CHARS_MAX) {
  const clean = textOf(text).replace(UNSEEN, ' ').replace(PILED, '$1').trim();
  if (clean.length <= charsMax) return clean;
  const letters = [...clean];
  return letters.length > charsMax ? `${letters.slice(0, charsMax - 1).join('')}…` : clean;
}

/** Text as block lists compare it: width, case and spaces make no difference. */
export const fold = (text) => textOf(text).normalize('NFKC').toLowerCase().replace(/\s+/gu, '');

/** A name of bounded length, never empty. */
export function nameOf(user) {
  return plain(user?.name, NAME_CHARS_MAX) || plain(user?.id, NAME_CHARS_MAX) || '?';
}

/** A hue for a user, the same on every page. */
export function hueOf(user) {
  let hash = 2166136261;
  for (const letter of textOf(user?.id ?? user?.name)) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
  return (hash >>> 0) % 360;
}

/** Whether it is `#rrggbb`. */
export const isColor = (value) => typeof value === 'string' && /^#[0-9a-f]{6}$/i.test(value);

/** `#rrggbb`, or white for anything else. */
export const colorOf = (body) => (isColor(body?.color) ? body.color : '#ffffff');

/** The gift's name and how many, from the usual spellings. */
export const giftOf = (body) => ({ gift: plain(body?.gift ?? body?.name ?? body?.gift_name ?? '🎁', NAME_CHARS_MAX), n: Number(textOf(body?.count ?? body?.num ?? 1)) || 1 });

/** The amount of a paid message as people write it; '' when there is none. */
export function amountOf(body) {
  const value = textOf(body?.amount ?? body?.price);
  if (value === '') return '';
  try {
    return new Intl.NumberFormat(undefined, { style: 'currency', currency: body.currency, maximumFractionDigits: 2 }).format(Number(value));
  } catch { return plain(`${textOf(body.currency)} ${value}`, NAME_CHARS_MAX); }
}

/** What a notice takes back: `{ids}`, `{user}`, `{all: true}`, or null. */
export function takenBack(event) {
  if (event.kind !== 'notice') return null;
  const body = event.body ?? {};
  const is = (word) => body.type === word || body.action === word || body.notice === word || body[word] !== undefined;
  const of = (word) => (typeof body[word] === 'object' && body[word] ? body[word] : body);
  if (is('deleted')) {
    const ids = Array.isArray(body.deleted) ? body.deleted : of('deleted').events ?? of('deleted').ids;
    return { ids: (Array.isArray(ids) ? ids : [ids]).map(textOf) };
  }
  if (is('purged')) return { user: typeof body.purged === 'string' ? body.purged : textOf(of('purged').user) };
  if (is('cleared')) return { all: true };
  return null;
}
