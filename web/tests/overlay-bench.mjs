/**
 * Benchmark of the overlay in a real browser, rendered in software: pushes 1,000
 * messages per second and measures frames per second and the JavaScript heap.
 *
 *   node tests/overlay-bench.mjs [seconds] [messages per second] [settings as JSON]
 *
 * Prints one line of JSON. Exit code 1 below 50 frames per second, or when the
 * heap grew by more than 2 MiB from the second quarter to the end. The browser
 * is $CHROMIUM, else /usr/bin/chromium.
 */
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const SECONDS = Number(process.argv[2] ?? 30);
const PER_SECOND = Number(process.argv[3] ?? 1_000);
const SETTINGS = JSON.parse(process.argv[4] ?? '{}');
const FPS_MIN = 50;
const HEAP_GROWTH_MAX = 2 * 1024 * 1024;
const LAUNCH_ARGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--enable-precise-memory-info', '--js-flags=--expose-gc',
];
const PAGE = `<!doctype html><meta charset="utf-8"><title>bench</title>
<style>html,body{margin:0;background:#123}canvas{display:block;width:1280px;height:720px}</style>
<canvas id="c"></canvas>`;

async function startServer() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/') return response.setHeader('content-type', 'text/html').end(PAGE);
    const file = path.join(WEB, path.normalize(pathname));
    if (!file.startsWith(WEB) || !file.endsWith('.js')) return response.writeHead(404).end();
    try {
      const text = await readFile(file);
      response.setHeader('content-type', 'text/javascript').end(text);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Runs in the page. */
async function measure({ seconds, perSecond, settings }) {
  const { Overlay } = await import('/overlay.js');
  const phrases = [
    '前方高能', '哈哈哈哈哈哈', '这个操作太秀了吧', '主播加油!', 'gg wp', '666666', 'first time here, hello from Berlin',
    '弹幕护体', '完全没看懂但是感觉好厉害的样子', 'lol', 'what a save!!', '泪目了', '🎉🎉🎉', '再来一次好不好呀',
    'the audio is a bit low for me, anyone else?', '前排围观', 'そうはならんやろ', '这波我站蓝色方',
  ];
  const colors = ['#ffffff', '#ffffff', '#ffffff', '#ffcc00', '#66ccff', '#ff6699', '#99ff66'];
  let seed = 42;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  const pick = (list) => list[Math.floor(random() * list.length)];
  let made = 0;
  const event = () => {
    const number = (made += 1);
    const kind = random() < 0.002 ? 'paid' : 'chat';
    const fixed = random();
    const mode = fixed < 0.03 ? 'top' : fixed < 0.05 ? 'bottom' : fixed < 0.07 ? 'reverse' : 'scroll';
    const size = random() < 0.04 ? 'large' : random() < 0.1 ? 'small' : 'medium';
    // Every other text is one of 10,000 of its own, the rest repeats.
    const text = random() < 0.5 ? pick(phrases) : `${pick(phrases)} ${Math.floor(random() * 10_000)}`;
    const user = { id: `u${Math.floor(random() * 5_000)}`, name: 'someone', roles: [], level: 3 };
    return { id: `e${number}`, kind, ts: 0, user, body: { text, mode, color: pick(colors), size } };
  };
  const overlay = new Overlay(document.getElementById('c'), settings);
  // Outside of the heap that is measured; a display has 250 frames per second at most.
  const frames = new Float64Array(Math.ceil(seconds * 250));
  let framesCount = 0;
  let running = true;
  const onFrame = (now) => {
    if (framesCount < frames.length) frames[framesCount++] = now;
    if (running) requestAnimationFrame(onFrame);
  };
  const heap = async () => {
    for (let i = 0; i < 3; i += 1) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return performance.memory.usedJSHeapSize;
  };
  const tickMs = 100;
  let offered = 0;
  const start = performance.now();
  const push = () => {
    const due = Math.floor(((performance.now() - start) / 1_000) * perSecond) - offered;
    if (due <= 0) return;
    offered += due;
    overlay.push(Array.from({ length: due }, event), { tickMs });
  };
  const timer = setInterval(push, tickMs);
  const until = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, start + ms - performance.now())));
  const heaps = [await heap()];
  requestAnimationFrame(onFrame);
  const first = performance.now();
  let mostOnScreen = 0;
  for (let quarter = 1; quarter <= 4; quarter += 1) {
    await until((seconds * 1_000 * quarter) / 4);
    mostOnScreen = Math.max(mostOnScreen, overlay.stats.onScreen);
    heaps.push(await heap());
  }
  running = false;
  clearInterval(timer);
  const gaps = frames.subarray(1, framesCount).map((now, index) => now - frames[index]).sort();
  const fps = (framesCount * 1_000) / (performance.now() - first);
  const { shown, dropped, queued, cache, cachePixels } = overlay.stats;
  overlay.destroy();
  const p99 = gaps[Math.floor(gaps.length * 0.99)];
  return { fps, p99, offered, shown, dropped, queued, mostOnScreen, cache, cachePixels, heaps };
}

/** CPU time that the page's main thread has spent in tasks. */
async function busySeconds(session) {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration').value;
}

async function main() {
  const server = await startServer();
  const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: LAUNCH_ARGS });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    page.on('pageerror', (error) => console.error(error));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const busyBefore = await busySeconds(session);
    const result = await page.evaluate(measure, { seconds: SECONDS, perSecond: PER_SECOND, settings: SETTINGS });
    const busy = (await busySeconds(session)) - busyBefore;
    const kib = (bytes) => Math.round(bytes / 1024);
    const growth = result.heaps[4] - result.heaps[2];
    const ok = result.fps >= FPS_MIN && growth <= HEAP_GROWTH_MAX;
    console.log(JSON.stringify({
      ok,
      seconds: SECONDS,
      per_second: PER_SECOND,
      fps: Math.round(result.fps * 10) / 10,
      frame_p99_ms: Math.round(result.p99 * 10) / 10,
      main_thread_busy: Math.round((busy / SECONDS) * 100) / 100,
      offered: result.offered,
      shown: result.shown,
      dropped: result.dropped,
      on_screen_max: result.mostOnScreen,
      cache: result.cache,
      cache_pixels: result.cachePixels,
      heap_start_kib: kib(result.heaps[0]),
      heap_half_kib: kib(result.heaps[2]),
      heap_end_kib: kib(result.heaps[4]),
      heap_growth_kib: kib(growth),
    }));
    process.exitCode = ok ? 0 : 1;
  } finally {
    await browser.close();
    server.close();
  }
}

await main();
