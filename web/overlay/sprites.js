/**
 * Bitmaps of texts, by text and style: the same text is painted once. Bounded by
 * pixels; the longest unused goes first, its canvas is used again.
 */

/** Idle canvases kept for the next text; each holds no pixels. */
const SPARE_MAX = 16;

export class Sprites {
  pixels = 0;
  /** By key, the longest unused first. */
  #sprites = new Map();
  #spare = [];
  #createCanvas;

  constructor(createCanvas) {
    this.#createCanvas = createCanvas;
  }

  get size() {
    return this.#sprites.size;
  }

  /** The bitmap for a key, painted when new by `paint(context, sprite)`. Held until `release`. */
  hold(key, width, height, paint) {
    let sprite = this.#sprites.get(key);
    if (sprite === undefined) sprite = this.#make(key, width, height, paint);
    else this.#sprites.delete(key);
    this.#sprites.set(key, sprite);
    sprite.holders += 1;
    return sprite;
  }

  release(sprite) {
    sprite.holders -= 1;
    if (sprite.holders === 0 && this.#sprites.get(sprite.key) !== sprite) this.#free(sprite);
  }

  /** Paints again, for instance when a picture in it has arrived. */
  repaint(sprite) {
    if (sprite.canvas === undefined) return;
    const context = sprite.canvas.getContext('2d');
    context.clearRect(0, 0, sprite.width, sprite.height);
    sprite.paint(context, sprite);
  }

  /** Frees unused bitmaps until `pixelsMax` is kept; those on screen stay. */
  trim(pixelsMax) {
    if (this.pixels <= pixelsMax) return;
    for (const sprite of this.#sprites.values()) {
      if (sprite.holders > 0) continue;
      this.#sprites.delete(sprite.key);
      this.#free(sprite);
      if (this.pixels <= pixelsMax) return;
    }
  }

  /** Forgets all; those on screen are freed when they are released. */
  clear() {
    for (const sprite of this.#sprites.values()) if (sprite.holders === 0) this.#free(sprite);
    this.#sprites.clear();
    this.#spare = [];
  }

  #make(key, width, height, paint) {
    const canvas = this.#spare.pop() ?? this.#createCanvas(width, height);
    canvas.width = width;
    canvas.height = height;
    const sprite = { key, canvas, width, height, holders: 0, paint };
    this.pixels += width * height;
    paint(canvas.getContext('2d'), sprite);
    return sprite;
  }

  #free(sprite) {
    this.pixels -= sprite.width * sprite.height;
    // Gives the memory back now; a dropped canvas waits for the collector.
    sprite.canvas.width = 0;
    sprite.canvas.height = 0;
    if (this.#spare.length < SPARE_MAX) this.#spare.push(sprite.canvas);
    sprite.canvas = undefined;
    sprite.paint = undefined;
  }
}
