/** Handlers by type. A handler that throws is reported and harms nobody else. */
export class Emitter {
  #handlers = new Map();

  /** Adds a handler; returns the function that takes it off again. */
  on(type, handler) {
    if (typeof handler !== 'function') throw new TypeError('handler must be a function');
    const entry = { handler };
    const entries = this.#handlers.get(type) ?? [];
    this.#handlers.set(type, [...entries, entry]);
    return () => {
      const left = (this.#handlers.get(type) ?? []).filter((other) => other !== entry);
      if (left.length > 0) this.#handlers.set(type, left);
      else this.#handlers.delete(type);
    };
  }

  emit(type, value) {
    for (const { handler } of this.#handlers.get(type) ?? []) {
      try {
        handler(value);
      } catch (error) {
        console.error(`barrage: a handler of '${type}' threw`, error);
      }
    }
  }
}
