// The moving picture behind the danmaku: a city by the sea at night, drawn, not
// filmed. In: a canvas and the time. Out: pixels at 30 frames a second at most,
// and now and then a "moment" (a shooting star, fireworks) for a crowd to cheer.
//
// Everything that stands still is painted once into layers; a frame copies them
// with different speeds, draws aurora and sparks, and mirrors it all in the sea.
import { Aurora, Fireworks, ShootingStar } from './scene/sky.js';
import { paintCity, paintHills, paintMoon, paintSky, paintStars, random } from './scene/layers.js';

const FRAME_MS = 33;
const WIDTH_MAX = 960; // drawn at this width at most and stretched by CSS
const HORIZON = 0.68;
const MOMENT_EVERY_MS = 17_000;
const WAVE_PX = 3; // height of one strip of the mirrored sea

export class Scene extends EventTarget {
  #canvas; #context; #upper; #layers; #aurora; #star; #fireworks; #boats;
  #frame = 0; #drawnAt = 0; #nextMoment = 6_000; #moments = 0; #still; #observer;

  constructor(canvas, { still = false } = {}) {
    super();
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false });
    this.#still = still;
    this.#observer = new ResizeObserver(() => this.#build());
    this.#observer.observe(canvas);
    this.#build();
  }

  start() {
    if (this.#still || this.#frame) return;
    const step = (now) => {
      this.#frame = requestAnimationFrame(step);
      if (now - this.#drawnAt < FRAME_MS - 4) return;
      this.#drawnAt = now;
      this.#draw(now);
    };
    this.#frame = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#observer.disconnect();
  }

  /** Stands still, for people who asked for less motion. */
  still(still) {
    this.#still = still;
    if (!still) return this.start();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    return undefined;
  }

  #build() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (!clientWidth || !clientHeight) return;
    const width = Math.min(WIDTH_MAX, clientWidth);
    const height = Math.round((clientHeight / clientWidth) * width);
    if (this.#upper && width === this.#canvas.width && height === this.#canvas.height) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    const top = Math.round(height * HORIZON);
    const seed = random(20);
    this.#upper = layer(width, top);
    this.#layers = {
      sky: paint(width, top, (c) => { paintSky(c, width, top); paintStars(c, width, top, seed); }),
      moon: paint(width, top, (c) => paintMoon(c, width, top)),
      hills: paint(width * 2, top, (c) => paintHills(c, width * 2, top, seed)),
      far: paint(width * 2, top, (c) => paintCity(c, width * 2, top, seed, { tall: 0.3, body: '#16294d', lit: 0.24, warm: 0.45, cell: 4 })),
      near: paint(width * 2, top, (c) => paintCity(c, width * 2, top, seed, { tall: 0.46, body: '#0b1530', lit: 0.3, warm: 0.75, cell: 6 })),
    };
    this.#aurora = new Aurora(width, top);
    this.#star = new ShootingStar(width, top);
    this.#fireworks = new Fireworks(width, top);
    this.#boats = [{ at: 0.2, size: 1, speed: 3.2 }, { at: 0.72, size: 0.62, speed: -2 }];
    this.#draw(performance.now());
  }

  #draw(now) {
    if (!this.#upper) return;
    this.#moment(now);
    this.#drawUpper(now);
    const { width, height } = this.#canvas;
    const top = this.#upper.canvas.height;
    this.#context.drawImage(this.#upper.canvas, 0, 0);
    this.#drawSea(now, width, height, top);
    for (const boat of this.#boats) this.#drawBoat(boat, now, width, height, top);
  }

  #moment(now) {
    if (this.#still || now < this.#nextMoment) return;
    this.#nextMoment = now + MOMENT_EVERY_MS;
    this.#moments += 1;
    const kind = this.#moments % 2 ? 'star' : 'fireworks';
    (kind === 'star' ? this.#star : this.#fireworks).begin(now);
    this.dispatchEvent(new CustomEvent('moment', { detail: kind }));
  }

  #drawUpper(now) {
    const c = this.#upper;
    const { width, height } = c.canvas;
    c.globalCompositeOperation = 'source-over';
    c.globalAlpha = 1;
    c.drawImage(this.#layers.sky, 0, 0);
    this.#aurora.draw(c, now);
    c.drawImage(this.#layers.moon, 0, 0);
    this.#star.draw(c, now);
    tile(c, this.#layers.hills, now * 0.0022, width);
    this.#fireworks.draw(c, now);
    tile(c, this.#layers.far, now * 0.005, width);
    tile(c, this.#layers.near, now * 0.011, width);
    drawTrain(c, now, width, height);
  }

  /** The sea mirrors the upper part in strips that sway more the nearer they are. */
  #drawSea(now, width, height, top) {
    const c = this.#context;
    const sea = height - top;
    const seconds = now / 1000;
    for (let y = 0; y < sea; y += WAVE_PX) {
      const near = y / sea;
      const source = top - 1 - y * 1.5 - Math.sin(y * 0.35 - seconds * 1.7) * (1 + near * 5);
      const sway = Math.sin(y * 0.22 + seconds * 1.4) * (1 + near * 9) + Math.sin(y * 0.07 - seconds * 0.8) * near * 8;
      const from = Math.max(0, Math.min(top - WAVE_PX, source - WAVE_PX));
      c.drawImage(this.#upper.canvas, 0, from, width, WAVE_PX, sway - 12, top + y, width + 24, WAVE_PX + 1);
    }
    const shade = c.createLinearGradient(0, top, 0, height);
    shade.addColorStop(0, 'rgba(8,18,44,.35)');
    shade.addColorStop(0.35, 'rgba(6,14,36,.62)');
    shade.addColorStop(1, 'rgba(3,7,20,.9)');
    c.fillStyle = shade;
    c.fillRect(0, top, width, sea);
    this.#drawGlitter(seconds, width, top, sea);
  }

  /** Moonlight on the water: short bright dashes below the moon. */
  #drawGlitter(seconds, width, top, sea) {
    const c = this.#context;
    c.fillStyle = '#ffeccb';
    for (let row = 0; row < 40; row += 1) {
      const near = row / 40;
      const y = top + 2 + near ** 1.6 * sea * 0.98;
      for (let dash = 0; dash < 4; dash += 1) {
        const phase = row * 2.4 + dash * 1.7;
        const glow = Math.sin(seconds * (0.9 + dash * 0.3) + phase * 3);
        if (glow < 0.15) continue;
        const x = width * 0.78 + Math.sin(phase * 7 + seconds * 0.5) * (5 + near * width * 0.075);
        c.globalAlpha = glow * 0.38 * (1 - near * 0.75);
        c.fillRect(x, y, 3 + glow * near * 16, 1 + near * 0.7);
      }
    }
    c.globalAlpha = 1;
  }

  #drawBoat({ at, size, speed }, now, width, height, top) {
    const c = this.#context;
    const span = width + 160;
    const x = ((((at * width + now * 0.001 * speed) % span) + span) % span) - 80;
    const unit = Math.max(0.7, width / 960) * size;
    c.save();
    c.translate(x, top + (height - top) * (0.16 + size * 0.3) + Math.sin(now * 0.0013 + at * 9) * 1.6);
    c.rotate(Math.sin(now * 0.001 + at * 5) * 0.025);
    c.scale(speed > 0 ? unit : -unit, unit);
    c.fillStyle = '#050a18';
    c.fill(HULL);
    c.fill(SAIL);
    const glow = c.createRadialGradient(-16, -10, 0, -16, -10, 22);
    glow.addColorStop(0, 'rgba(255,214,140,.95)');
    glow.addColorStop(0.15, 'rgba(255,180,90,.5)');
    glow.addColorStop(1, 'rgba(255,160,70,0)');
    c.fillStyle = glow;
    c.fillRect(-40, -34, 48, 48);
    c.restore();
  }
}

const HULL = new Path2D('M-30 -4 L30 -4 Q24 8 14 8 L-20 8 Q-28 6 -30 -4 Z');
const SAIL = new Path2D('M1 -58 Q28 -30 25 -8 L1 -8 Z M-2 -50 Q-19 -26 -20 -8 L-2 -8 Z');

/** A lit train that crosses along the shore every so often. */
function drawTrain(c, now, width, height) {
  const length = width * 0.34;
  const x = ((now * 0.05) % (width * 3)) - length;
  if (x > width) return;
  c.fillStyle = '#071022';
  c.fillRect(x - 3, height - 9, length + 6, 7);
  for (let window = 0; window < length; window += 7) {
    if (window % 70 > 60) continue;
    c.fillStyle = window % 21 ? '#ffdf9e' : '#fff3d6';
    c.fillRect(x + window, height - 7, 5, 3);
  }
}

/** Copies a layer that repeats, shifted to the left by `shift`. */
function tile(c, image, shift, width) {
  const from = shift % image.width;
  c.drawImage(image, -from, 0);
  if (image.width - from < width) c.drawImage(image, image.width - from, 0);
}

function layer(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  return canvas.getContext('2d');
}

function paint(width, height, draw) {
  const c = layer(width, height);
  draw(c);
  return c.canvas;
}
