// What moves in the sky: the aurora all the time, a shooting star and fireworks
// now and then. Each is begun at a time and drawn with the time; no timers.

const AURORA_COLUMNS = 112;
const AURORA_EVERY_MS = 95; // it moves slowly: a third of the frames is enough
const RIBBONS = [
  { hue: '96,255,190', base: 0.5, swing: 0.16, speed: 0.00019, tall: 0.4, strength: 0.5 },
  { hue: '74,190,255', base: 0.42, swing: 0.2, speed: -0.00014, tall: 0.34, strength: 0.34 },
  { hue: '190,110,255', base: 0.34, swing: 0.14, speed: 0.00011, tall: 0.28, strength: 0.3 },
];

/** Curtains of light: columns of one-pixel gradients on a tiny canvas, stretched until they are soft. */
export class Aurora {
  constructor(width, height) {
    Object.assign(this, { width, height });
    this.small = document.createElement('canvas');
    this.small.width = AURORA_COLUMNS;
    this.small.height = 72;
    this.context = this.small.getContext('2d');
    this.columns = RIBBONS.map(({ hue }) => column(hue));
  }

  draw(c, now) {
    if (!(now - this.paintedAt < AURORA_EVERY_MS)) this.#paint(now);
    c.globalCompositeOperation = 'lighter';
    c.globalAlpha = 0.9;
    c.drawImage(this.small, 0, 0, this.width, this.height);
    c.globalCompositeOperation = 'source-over';
    c.globalAlpha = 1;
  }

  #paint(now) {
    this.paintedAt = now;
    const s = this.context;
    const { width, height } = this.small;
    s.globalCompositeOperation = 'source-over';
    s.clearRect(0, 0, width, height);
    s.globalCompositeOperation = 'lighter';
    RIBBONS.forEach((ribbon, index) => {
      for (let x = 0; x < width; x += 1) {
        const turn = x / width;
        const drift = now * ribbon.speed;
        const fold = Math.sin(turn * 5 + drift * 3) * 0.6 + Math.sin(turn * 11 - drift * 5 + index) * 0.4;
        const shine = 0.5 + 0.5 * Math.sin(turn * 23 + drift * 9 + fold * 4);
        const veil = Math.max(0, Math.sin(turn * 3.6 + drift * 2 + index * 1.7) * 0.6 + 0.4);
        const tall = height * ribbon.tall * (0.65 + shine * 0.5);
        s.globalAlpha = ribbon.strength * veil * (0.45 + shine * 0.55);
        s.drawImage(this.columns[index], x, height * (ribbon.base + ribbon.swing * fold) - tall, 1, tall);
      }
    });
  }
}

/** One bright streak, a second long. */
export class ShootingStar {
  #begun = -Infinity;
  constructor(width, height) { Object.assign(this, { width, height }); }
  begin(now) { this.#begun = now; }

  draw(c, now) {
    const age = (now - this.#begun) / 1300;
    if (age > 1) return;
    const x = this.width * (0.16 + age * 0.5);
    const y = this.height * (0.08 + age * 0.34);
    const tail = this.width * 0.16 * Math.sin(age * Math.PI);
    const line = c.createLinearGradient(x, y, x - tail, y - tail * 0.5);
    line.addColorStop(0, 'rgba(255,255,255,.95)');
    line.addColorStop(1, 'rgba(160,200,255,0)');
    c.strokeStyle = line;
    c.lineWidth = 2;
    c.lineCap = 'round';
    c.beginPath();
    c.moveTo(x, y);
    c.lineTo(x - tail, y - tail * 0.5);
    c.stroke();
  }
}

const SHELL_COLORS = ['255,196,110', '255,110,150', '120,220,255', '170,255,170', '206,150,255'];
const SHELLS = 7;
const SPARKS = 46;
const RISE_MS = 900;
const BURST_MS = 1900;

/** Seven shells, one after the other; positions follow from the age alone. */
export class Fireworks {
  #shells = [];
  constructor(width, height) { Object.assign(this, { width, height }); }

  begin(now) {
    this.#shells = Array.from({ length: SHELLS }, (_, index) => ({
      at: now + index * 620 + Math.random() * 240,
      x: this.width * (0.14 + Math.random() * 0.56),
      y: this.height * (0.14 + Math.random() * 0.3),
      size: this.width * (0.06 + Math.random() * 0.06),
      color: SHELL_COLORS[(index + Math.floor(Math.random() * 2)) % SHELL_COLORS.length],
      turn: Math.random(),
    }));
  }

  draw(c, now) {
    if (!this.#shells.length) return;
    c.globalCompositeOperation = 'lighter';
    for (const shell of this.#shells) this.#drawShell(c, shell, now - shell.at);
    c.globalCompositeOperation = 'source-over';
    this.#shells = this.#shells.filter((shell) => now - shell.at < RISE_MS + BURST_MS);
  }

  #drawShell(c, { x, y, size, color, turn }, age) {
    if (age < 0 || age > RISE_MS + BURST_MS) return;
    if (age < RISE_MS) {
      const up = 1 - (1 - age / RISE_MS) ** 2;
      c.fillStyle = `rgba(${color},.9)`;
      const at = this.height - (this.height - y) * up;
      c.fillRect(x - 1, at, 2, 8 * (1 - up) + 2);
      return;
    }
    const burst = (age - RISE_MS) / BURST_MS;
    const reach = size * (1 - (1 - burst) ** 3);
    const fade = (1 - burst) ** 1.4;
    const flash = c.createRadialGradient(x, y, 0, x, y, size * 1.3);
    flash.addColorStop(0, `rgba(${color},${0.5 * fade * fade})`);
    flash.addColorStop(1, `rgba(${color},0)`);
    c.fillStyle = flash;
    c.fillRect(x - size * 1.3, y - size * 1.3, size * 2.6, size * 2.6);
    c.strokeStyle = `rgba(${color},${fade})`;
    c.lineWidth = 1.6;
    c.beginPath();
    for (let spark = 0; spark < SPARKS; spark += 1) {
      const angle = (spark + turn) * 2.39996; // the golden angle spreads sparks evenly
      const far = reach * Math.sqrt((spark + 0.5) / SPARKS);
      const from = far * (0.82 + burst * 0.12);
      const fall = burst * burst * size * 0.5;
      c.moveTo(x + Math.cos(angle) * from, y + Math.sin(angle) * from + fall * 0.9);
      c.lineTo(x + Math.cos(angle) * far, y + Math.sin(angle) * far + fall);
    }
    c.stroke();
  }
}

/** A column one pixel wide, bright near its foot. */
function column(hue) {
  const canvas = document.createElement('canvas');
  canvas.width = 1;
  canvas.height = 64;
  const c = canvas.getContext('2d');
  const fade = c.createLinearGradient(0, 0, 0, 64);
  fade.addColorStop(0, `rgba(${hue},0)`);
  fade.addColorStop(0.55, `rgba(${hue},.35)`);
  fade.addColorStop(0.86, `rgba(${hue},1)`);
  fade.addColorStop(1, `rgba(${hue},0)`);
  c.fillStyle = fade;
  c.fillRect(0, 0, 1, 64);
  return canvas;
}
