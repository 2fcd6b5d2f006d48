/** Frames as they are sent: JSON whose texts are whole characters. */

const HALF_CHARACTERS = /\p{Cs}/gu;

/**
 * JSON of a frame. Half a character, as a text cut by `slice` may end in, becomes U+FFFD: no
 * encoding can carry it, and the gateway would call the whole frame malformed.
 */
export function jsonOf(frame) {
  return JSON.stringify(frame, (_name, value) =>
    typeof value === 'string' ? value.replace(HALF_CHARACTERS, '\uFFFD') : value,
  );
}
