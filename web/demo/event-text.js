// Words of an event, made safe to stand in a line of text beside others, and
// what a `notice` asks a page to take back. Shared by the demo and the overlay page.

const NAME_CHARS_MAX = 32;
/** Control characters, line and paragraph separators, and marks that turn the direction of what follows. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;
/** More than four marks on one letter climb out of their line. */
const PILED = /(\p{M}{4})\p{M}+/gu;

/** Text without characters that disturb their surroundings. */
export const plain = (text) => String(text ?? '').replace(UNSEEN, ' ').replace(PILED, '$1').trim();

/** Text as block lists compare it: width, case and spaces make no difference. */
export const fold = (text) => String(text ?? '').normalize('NFKC').toLowerCase().replace(/\s+/gu, '');

/** A name of bounded length, never empty. */
export function nameOf(user) {
  const name = plain(user?.name) || plain(user?.id) || '?';
  const letters = [...name];
  return letters.length > NAME_CHARS_MAX ? `${letters.slice(0, NAME_CHARS_MAX - 1).join('')}…` : name;
}

/** A hue for a user, the same on every page. */
export function hueOf(user) {
  let hash = 2166136261;
  for (const letter of String(user?.id ?? user?.name ?? '')) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
  return (hash >>> 0) % 360;
}

/** `#rrggbb`, or white for anything else. */
export const colorOf = (body) => (/^#[0-9a-f]{6}$/i.test(body?.color) ? body.color : '#ffffff');

/** The gift's name and how many, from the usual spellings. */
export const giftOf = (body) => ({ gift: plain(body?.gift ?? body?.name ?? body?.gift_name ?? '🎁'), n: Number(body?.count ?? body?.num ?? 1) || 1 });

/** The amount of a paid message as people write it; '' when there is none. */
export function amountOf(body) {
  const value = body?.amount ?? body?.price;
  if (value === undefined || value === null) return '';
  try {
    return new Intl.NumberFormat(undefined, { style: 'currency', currency: body.currency, maximumFractionDigits: 2 }).format(Number(value));
  } catch { return plain(`${body.currency ?? ''} ${value}`); }
}

/** What a notice takes back: `{ids}`, `{user}`, `{all: true}`, or null. */
export function takenBack(event) {
  if (event.kind !== 'notice') return null;
  const body = event.body ?? {};
  const is = (word) => body.type === word || body.action === word || body.notice === word || body[word] !== undefined;
  const of = (word) => (typeof body[word] === 'object' && body[word] ? body[word] : body);
  if (is('deleted')) {
    const ids = Array.isArray(body.deleted) ? body.deleted : of('deleted').events ?? of('deleted').ids;
    return { ids: (Array.isArray(ids) ? ids : [ids]).map(String) };
  }
  if (is('purged')) return { user: String(typeof body.purged === 'string' ? body.purged : of('purged').user) };
  if (is('cleared')) return { all: true };
  return null;
}
