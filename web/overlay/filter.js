/** Decides what the viewer does not want to see. In: the block lists of the settings. */
export class Filter {
  #words;
  #users;
  #modes;

  constructor({ blockWords, blockUsers, blockModes }) {
    this.#words = blockWords.map(folded).filter((word) => word !== '');
    this.#users = new Set(blockUsers);
    this.#modes = new Set(blockModes);
  }

  /** Whether a text of this user may be shown in this mode. */
  allows(text, mode, userId) {
    if (this.#modes.has(mode) || this.#users.has(userId)) return false;
    if (this.#words.length === 0) return true;
    const plain = folded(text);
    return !this.#words.some((word) => plain.includes(word));
  }
}

/** Full and half width, case and spaces make no difference. */
function folded(text) {
  return text.normalize('NFKC').toLowerCase().replace(/\s+/gu, '');
}
