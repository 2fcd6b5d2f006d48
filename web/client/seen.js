/** The newest `capacity` ids: tells a duplicate, in constant memory. */
export class Seen {
  #ids = new Set();
  #capacity;

  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** Whether the id is new; it is known from now on. */
  add(id) {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    // A Set iterates in the order of insertion: the first is the oldest.
    if (this.#ids.size > this.#capacity) this.#ids.delete(this.#ids.values().next().value);
    return true;
  }

  get size() {
    return this.#ids.size;
  }
}
