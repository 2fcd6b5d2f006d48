/** Lets so many through at a time, in the order in which they came. */
export class Gate {
  #width;
  #inside = 0;
  #waiting = [];

  constructor(width) {
    this.#width = width;
  }

  /** `start(done)` is called when it is its turn, at once if nobody waits; `done()` ends the turn. */
  enter(start) {
    this.#waiting.push(start);
    this.#next();
  }

  #next() {
    while (this.#inside < this.#width && this.#waiting.length > 0) {
      const start = this.#waiting.shift();
      this.#inside += 1;
      start(() => {
        this.#inside -= 1;
        this.#next();
      });
    }
  }
}
