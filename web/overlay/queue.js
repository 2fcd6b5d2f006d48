/**
 * Entries that wait for their time, then a little longer for a lane. Bounded in
 * length and in age: what comes too late is worth nothing in a live show.
 */
export class DueQueue {
  dropped = 0;
  /** By time, earliest first. */
  #entries = [];

  get length() {
    return this.#entries.length;
  }

  /** Adds an entry; at `lengthMax` a more important one takes the place of another. */
  push(entry, lengthMax) {
    if (this.#entries.length >= lengthMax && !this.#makeRoom(entry)) {
      this.dropped += 1;
      return;
    }
    let index = this.#entries.length;
    while (index > 0 && this.#entries[index - 1].dueMs > entry.dueMs) index -= 1;
    if (index === this.#entries.length) this.#entries.push(entry);
    else this.#entries.splice(index, 0, entry);
  }

  /**
   * Offers every due entry to `admit`, which says whether it took it. Those older
   * than `lateMs` beyond their time are dropped instead.
   */
  offer(nowMs, lateMs, admit) {
    const entries = this.#entries;
    let kept = 0;
    let index = 0;
    for (; index < entries.length && entries[index].dueMs <= nowMs; index += 1) {
      const entry = entries[index];
      if (nowMs - entry.dueMs > lateMs) this.dropped += 1;
      else if (!admit(entry)) entries[kept++] = entry;
    }
    if (kept !== index) entries.splice(kept, index - kept);
  }

  /** Drops what is too late; for the time when nothing is shown. */
  expire(nowMs, lateMs) {
    let late = 0;
    while (late < this.#entries.length && nowMs - this.#entries[late].dueMs > lateMs) late += 1;
    this.#entries.splice(0, late);
    this.dropped += late;
  }

  remove(unwanted) {
    this.#entries = this.#entries.filter((entry) => !unwanted(entry));
  }

  #makeRoom(entry) {
    if (entry.rank === 0) return false;
    const index = this.#entries.findLastIndex((other) => other.rank === 0);
    if (index < 0) return false;
    this.#entries.splice(index, 1);
    this.dropped += 1;
    return true;
  }
}
