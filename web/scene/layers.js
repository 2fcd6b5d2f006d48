// What stands still in the picture: sky, stars, moon, hills and houses. Each
// function paints once into a layer; hills and houses repeat from right to left.

/** A small seeded generator (mulberry32), so that the city is always the same. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function paintSky(c, width, height) {
  const sky = c.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, '#050818');
  sky.addColorStop(0.35, '#0b1738');
  sky.addColorStop(0.7, '#1d3766');
  sky.addColorStop(0.9, '#4a5a8a');
  sky.addColorStop(1, '#8d7390');
  c.fillStyle = sky;
  c.fillRect(0, 0, width, height);
  const dusk = c.createRadialGradient(width * 0.3, height * 1.05, 0, width * 0.3, height * 1.05, width * 0.55);
  dusk.addColorStop(0, 'rgba(255,166,112,.6)');
  dusk.addColorStop(0.4, 'rgba(240,120,120,.22)');
  dusk.addColorStop(1, 'rgba(240,120,120,0)');
  c.fillStyle = dusk;
  c.fillRect(0, 0, width, height);
}

export function paintStars(c, width, height, next) {
  const count = Math.round((width * height) / 2600);
  for (let star = 0; star < count; star += 1) {
    const y = next() ** 1.7 * height * 0.85;
    const bright = next() ** 3;
    c.globalAlpha = (0.25 + bright * 0.75) * (1 - y / height);
    c.fillStyle = next() > 0.8 ? '#ffe3c2' : '#dbe8ff';
    const size = bright > 0.7 ? 1.7 : 1;
    c.fillRect(next() * width, y, size, size);
  }
  c.globalAlpha = 1;
}

export function paintMoon(c, width, height) {
  const x = width * 0.78;
  const y = height * 0.3;
  const r = Math.max(13, width * 0.024);
  const halo = c.createRadialGradient(x, y, r * 0.8, x, y, r * 7);
  halo.addColorStop(0, 'rgba(255,240,212,.42)');
  halo.addColorStop(0.25, 'rgba(200,214,255,.14)');
  halo.addColorStop(1, 'rgba(200,214,255,0)');
  c.fillStyle = halo;
  c.fillRect(x - r * 7, y - r * 7, r * 14, r * 14);
  const disc = c.createRadialGradient(x - r * 0.4, y - r * 0.4, r * 0.2, x, y, r);
  disc.addColorStop(0, '#fffaf0');
  disc.addColorStop(1, '#ffe2b0');
  c.fillStyle = disc;
  c.beginPath();
  c.arc(x, y, r, 0, Math.PI * 2);
  c.fill();
  c.fillStyle = 'rgba(214,176,120,.3)';
  for (const [dx, dy, size] of [[-0.3, -0.2, 0.22], [0.25, 0.3, 0.28], [0.35, -0.35, 0.14], [-0.2, 0.45, 0.12]]) {
    c.beginPath();
    c.arc(x + dx * r, y + dy * r, size * r, 0, Math.PI * 2);
    c.fill();
  }
}

export function paintHills(c, width, height, next) {
  for (const [base, swing, color, top] of [[0.24, 0.11, '#2c4272', '#5a6a9c'], [0.15, 0.08, '#1d305a', '#33497a']]) {
    const shift = next() * 6;
    const ridge = (x) => {
      const turn = (x / width) * Math.PI * 2; // whole turns, so that both ends meet
      const wave = Math.sin(turn * 3 + shift) * 0.5 + Math.sin(turn * 7 + shift * 2) * 0.3 + Math.sin(turn * 17 + shift * 3) * 0.12;
      return height * (1 - base - swing * wave);
    };
    const fill = c.createLinearGradient(0, height * 0.6, 0, height);
    fill.addColorStop(0, top);
    fill.addColorStop(1, color);
    c.fillStyle = fill;
    c.beginPath();
    c.moveTo(0, height);
    for (let x = 0; x <= width; x += 4) c.lineTo(x, ridge(x));
    c.lineTo(width, height);
    c.fill();
  }
}

/**
 * A row of houses. `tall` is the greatest height as a part of the layer, `lit`
 * and `warm` are shares of windows, `cell` the grid of windows in pixels.
 */
export function paintCity(c, width, height, next, { tall, body, lit, warm, cell }) {
  let x = 0;
  while (x < width) {
    const wide = Math.min(cell * (4 + Math.floor(next() * 8)), width - x);
    const centre = 0.45 + 0.55 * Math.sin(((x + wide / 2) / width) * Math.PI * 4 - 1) ** 2;
    const high = Math.max(cell * 3, height * tall * (0.22 + next() ** 1.6 * 0.78) * centre);
    paintHouse(c, { x, wide, high, height, next, body, lit, warm, cell });
    x += wide + (next() > 0.72 ? cell * (1 + Math.floor(next() * 3)) : 0);
  }
  c.globalAlpha = 1;
}

function paintHouse(c, { x, wide, high, height, next, body, lit, warm, cell }) {
  const top = height - high;
  c.globalAlpha = 1;
  c.fillStyle = body;
  c.fillRect(x, top, wide, high);
  const roof = next();
  if (roof > 0.8) {
    c.fillRect(x + wide * 0.25, top - cell * 2, wide * 0.5, cell * 2);
    c.fillRect(x + wide / 2 - 1, top - cell * 6, 1.5, cell * 4);
    c.fillStyle = '#ff5a5a';
    c.fillRect(x + wide / 2 - 1.5, top - cell * 6, 2.5, 2.5);
  } else if (roof > 0.6) {
    c.fillRect(x + wide * 0.15, top - cell, wide * 0.3, cell);
  }
  for (let wx = x + cell * 0.6; wx < x + wide - cell * 0.6; wx += cell) {
    for (let wy = top + cell; wy < height - cell; wy += cell * 1.25) {
      if (next() > lit) continue;
      c.globalAlpha = 0.35 + next() * 0.65;
      c.fillStyle = next() < warm ? '#ffcf87' : '#a9cdff';
      c.fillRect(wx, wy, cell * 0.5, cell * 0.6);
    }
  }
}
