// The picture for the README: two pages in one room, side by side, at one moment,
// with the crowd on. Writes `docs/images/two-pages.jpg`.
//
//   BARRAGE_URL=http://127.0.0.1:8080/ node web/tests/screenshot.mjs [file.jpg]
//
// Needs a gateway in development (`--dev`); without BARRAGE_URL the fake one is used.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startFakeGateway } from './fake-gateway.mjs';
import { launch, online, say } from './pages-browser.mjs';

const FILE = path.resolve(process.argv[2] ?? fileURLToPath(new URL('../../docs/images/two-pages.jpg', import.meta.url)));
const PAGE = { width: 1000, height: 700 };
const MARGIN = 36;
const CROWD_MS = 11_000;
const FLIGHT_MS = 3_200;

const gateway = process.env.BARRAGE_URL ? { url: process.env.BARRAGE_URL.replace(/\/?$/, '/'), close() {} } : await startFakeGateway();
const browser = await launch();
try {
  const open = async (query, options) => {
    const page = await (await browser.newContext({ viewport: PAGE, ...options })).newPage();
    await page.goto(`${gateway.url}?room=lounge&${query}`);
    await online(page);
    return page;
  };
  const left = await open('name=Mira&lang=en', { colorScheme: 'dark' });
  const right = await open(`name=${encodeURIComponent('小雨')}&lang=zh`, { colorScheme: 'light' });
  await left.click('#crowd');
  await left.waitForTimeout(CROWD_MS);
  await say(left, 'Hello from the left window');
  await say(right, '右边也看到啦！');
  await left.waitForTimeout(FLIGHT_MS);
  await left.fill('#text', 'look at the sea…');
  const shots = await Promise.all([left, right].map((page) => page.screenshot()));
  const sheet = await browser.newPage({ viewport: { width: PAGE.width * 2 + MARGIN * 3, height: PAGE.height + MARGIN * 2 } });
  await sheet.setContent(frame(shots), { waitUntil: 'load' });
  await mkdir(path.dirname(FILE), { recursive: true });
  await sheet.screenshot({ path: FILE, type: 'jpeg', quality: 84 });
  console.log(FILE);
} finally {
  await browser.close();
  await gateway.close();
}

/** Both pictures with round corners on a quiet ground. */
function frame(shots) {
  const images = shots.map((png) => `<img src="data:image/png;base64,${png.toString('base64')}">`).join('');
  return `<style>body{margin:0;padding:${MARGIN}px;display:flex;gap:${MARGIN}px;background:linear-gradient(120deg,#1b2440,#2b3a63 55%,#4a4270)}
    img{width:${PAGE.width}px;height:${PAGE.height}px;border-radius:16px;box-shadow:0 20px 60px rgb(0 0 0/.45)}</style>${images}`;
}
