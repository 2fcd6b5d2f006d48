/** A canvas, a page and a display that exist only as a record of calls. */

export class FakeCanvas {
  style = {};
  clientWidth = 0;
  clientHeight = 0;
  /** Bitmaps drawn since the last clearing: {text, x, y}. */
  drawn = [];
  texts = [];
  images = 0;
  #width = 300;
  #height = 150;

  constructor(clientWidth = 0, clientHeight = 0) {
    Object.assign(this, { clientWidth, clientHeight });
  }

  get width() { return this.#width; }
  set width(width) { this.#width = width; this.#erase(); }
  get height() { return this.#height; }
  set height(height) { this.#height = height; this.#erase(); }

  #erase() {
    this.drawn = [];
    this.texts = [];
    this.images = 0;
  }

  getContext() {
    return {
      // Ten pixels to the character is as good a font as any.
      measureText: (text) => ({ width: [...text].length * 10 }),
      clearRect: () => this.#erase(),
      drawImage: (source, x, y) => {
        if (source instanceof FakeCanvas) this.drawn.push({ text: source.texts.join(''), x, y });
        else this.images += 1;
      },
      fillText: (text) => this.texts.push(text),
      strokeText() {}, beginPath() {}, roundRect() {}, fill() {}, stroke() {},
    };
  }
}

/** Everything that an overlay takes from its page, under the test's control. */
export function fakePage({ width = 1280, height = 720, ratio = 1, reducedMotion = false } = {}) {
  let nowMs = 5_000;
  let nextHandle = 1;
  const pending = new Map();
  const listeners = new Map();
  const images = [];
  const canvases = [];
  const listen = (type, run) => listeners.set(type, [...(listeners.get(type) ?? []), run]);
  const unlisten = (type, run) => listeners.set(type, (listeners.get(type) ?? []).filter((other) => other !== run));
  const page = {
    canvas: new FakeCanvas(width, height),
    canvases,
    images,
    pending,
    listeners,
    document: { hidden: false, baseURI: 'https://live.test/', addEventListener: listen, removeEventListener: unlisten },
    window: {
      devicePixelRatio: ratio,
      matchMedia: () => ({ matches: reducedMotion }),
      addEventListener: listen,
      removeEventListener: unlisten,
    },
    emit: (type) => { for (const run of listeners.get(type) ?? []) run(); },
    hide: (hidden) => { page.document.hidden = hidden; page.emit('visibilitychange'); },
    /** Time passes and nothing is drawn. */
    wait: (ms) => { nowMs += ms; },
    /** Frames at 50 per second for `ms`, as long as any is asked for. */
    play: (ms) => {
      for (const endMs = nowMs + ms; nowMs < endMs;) {
        nowMs += 20;
        const runs = [...pending.values()];
        pending.clear();
        for (const run of runs) run(nowMs);
      }
    },
  };
  page.options = {
    document: page.document,
    window: page.window,
    now: () => nowMs,
    random: () => 0.5,
    requestAnimationFrame: (run) => { pending.set(nextHandle, run); return nextHandle++; },
    cancelAnimationFrame: (handle) => pending.delete(handle),
    createCanvas: () => canvases[canvases.push(new FakeCanvas()) - 1],
    createImage: () => images[images.push({}) - 1],
  };
  return page;
}
