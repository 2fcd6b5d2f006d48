/**
 * The canvas itself: its size in device pixels, and drawing on it. In: the size
 * and pixel ratio of the page. Out: `resized()` when they have changed.
 */

/** 4096 x 2304: above this the bitmap is stretched instead of growing. */
const PIXELS_MAX = 9_437_184;

export class Surface {
  width = 0;
  height = 0;
  /** Device pixels per CSS pixel. */
  scale = 1;
  #canvas;
  #context;
  #window;
  #resized;
  #observer = undefined;
  #onResize = () => this.measure();
  #ratioMax = 2;
  #ratio = 0;
  /** Below this line nothing has been drawn since the last clearing. */
  #paintedTo = 0;

  constructor(canvas, window, resized) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    this.#window = window;
    this.#resized = resized;
    const { ResizeObserver } = window ?? {};
    if (ResizeObserver) {
      this.#observer = new ResizeObserver(this.#onResize);
      this.#observer.observe(canvas);
    }
    window?.addEventListener?.('resize', this.#onResize);
  }

  set pixelRatioMax(ratio) {
    this.#ratioMax = ratio;
    this.measure();
  }

  set opacity(opacity) {
    // Left to the compositor: blending each bitmap costs several times as much.
    if (this.#canvas.style) this.#canvas.style.opacity = String(opacity);
  }

  /** Notices a window that moved to another screen; no event tells. */
  checkRatio() {
    if (this.#pixelRatio() !== this.#ratio) this.measure();
  }

  /** Fits the bitmap to the box of the canvas. */
  measure() {
    const canvas = this.#canvas;
    // A canvas without a box (in a worker) has only its bitmap; one that is not
    // displayed has an empty box.
    const hasBox = canvas.clientWidth !== undefined;
    const cssWidth = hasBox ? canvas.clientWidth : canvas.width;
    const cssHeight = hasBox ? canvas.clientHeight : canvas.height;
    this.#ratio = this.#pixelRatio();
    const wanted = hasBox ? this.#ratio : 1;
    const scale = Math.min(wanted, Math.sqrt(PIXELS_MAX / Math.max(1, cssWidth * cssHeight)));
    const width = Math.round(cssWidth * scale);
    const height = Math.round(cssHeight * scale);
    if (width === this.width && height === this.height && scale === this.scale) return;
    Object.assign(this, { width, height, scale });
    canvas.width = width;
    canvas.height = height;
    // Without a size in the style sheet the box follows the bitmap, which follows the box.
    if (hasBox && canvas.clientWidth !== cssWidth) {
      canvas.style.width = `${cssWidth}px`;
      canvas.style.height = `${cssHeight}px`;
    }
    this.#paintedTo = 0;
    this.#resized();
  }

  /** Clears only the band where something was drawn. */
  clear() {
    if (this.#paintedTo === 0) return;
    this.#context.clearRect(0, 0, this.width, this.#paintedTo);
    this.#paintedTo = 0;
  }

  draw(bitmap, x, y) {
    if (x >= this.width || x + bitmap.width <= 0) return;
    this.#context.drawImage(bitmap, x, y);
    this.#paintedTo = Math.min(this.height, Math.max(this.#paintedTo, y + bitmap.height));
  }

  destroy() {
    this.clear();
    this.#observer?.disconnect();
    this.#window?.removeEventListener?.('resize', this.#onResize);
  }

  #pixelRatio() {
    return Math.min(this.#ratioMax, this.#window?.devicePixelRatio || 1);
  }
}
