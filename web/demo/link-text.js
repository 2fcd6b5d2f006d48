// The words for the state of a connection. Shared by the demo and the overlay page.
import { has, t } from '../i18n.js';
import { plain } from './event-text.js';

/** The words for a client's status; `token` is what it showed the gateway, if anything. */
export function linkText({ state, delayMs, reason }, token) {
  if (state === 'online') return t('connected');
  if (state === 'failed') return t('failed', { reason: why(reason, token) });
  if (state !== 'reconnecting') return t(state);
  const seconds = Math.round((delayMs ?? 0) / 1000);
  return t(seconds > 0 ? 'reconnecting' : 'reconnectingNow', { s: seconds });
}

/** Reasons of the close catalogue have words; others stand as they came. */
function why(reason, token) {
  const key = reason === 'bad_token' && !token ? 'why_no_token' : `why_${reason}`;
  return has(key) ? t(key) : plain(reason);
}
