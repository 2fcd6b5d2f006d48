// The pages in a browser. Against the gateway at `BARRAGE_URL` when set, else
// against the fake one. Tests that need the server to misbehave use a fake of
// their own.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { startFakeGateway } from './fake-gateway.mjs';
import { Pages, flown, launch, line, online, say } from './pages-browser.mjs';

const TIMEOUT = { timeout: 60_000 };
let gateway;
let browser;
let pages;
let rooms = 0;
const fakes = [];
const roomUrl = (extra = '', at = gateway.url) => `${at}?room=${room()}${extra}`;
const room = () => `pages-${process.pid}-${Date.now().toString(36)}-${(rooms += 1)}`;

async function fake(options) {
  const started = await startFakeGateway(options);
  fakes.push(started);
  return started;
}

before(async () => {
  gateway = process.env.BARRAGE_URL ? { url: process.env.BARRAGE_URL.replace(/\/?$/, '/'), close() {} } : await startFakeGateway();
  browser = await launch();
  pages = new Pages(browser);
});
afterEach(async () => {
  try { await pages.close(); } finally { await Promise.all(fakes.splice(0).map((started) => started.close())); }
});
after(async () => {
  await browser?.close();
  await gateway?.close();
});

test('danmaku_written_on_one_page_flies_and_is_listed_on_a_second_page', TIMEOUT, async () => {
  const url = roomUrl();
  const [one, two] = await Promise.all([pages.open(`${url}&name=Ann`), pages.open(`${url}&name=Bo`)]);
  await Promise.all([online(one), online(two)]);
  await say(one, 'hello over there');
  await Promise.all([line(one, 'hello over there'), line(two, 'hello over there'), flown(one, 1), flown(two, 1)]);
  assert.equal(await two.textContent('#chat-list .name button'), 'Ann');
  assert.equal(await one.inputValue('#text'), '');
  assert.equal(await one.locator('#chat-list .line.own').count(), 1, 'the own line comes once, and is marked');
  assert.equal(await two.locator('#chat-list .line.own').count(), 0);
});

test('empty_room_invites_to_write_and_stops_when_somebody_has_written', TIMEOUT, async () => {
  const url = roomUrl();
  const page = await pages.open(url);
  await online(page);
  await page.getByRole('heading', { name: 'It is quiet here' }).waitFor();
  assert.equal(await page.getAttribute('#empty-tab', 'href'), url);
  await page.click('#empty-write');
  await page.keyboard.type('first');
  await page.keyboard.press('Enter');
  await page.locator('#empty').waitFor({ state: 'hidden' });
});

test('likes_and_the_online_count_reach_the_other_page', TIMEOUT, async () => {
  const url = roomUrl();
  const [one, two] = await Promise.all([pages.open(url), pages.open(url)]);
  await Promise.all([online(one), online(two)]);
  await one.click('#like');
  await one.locator('body').press('l');
  assert.equal(await one.textContent('#likes'), '2');
  await two.waitForFunction(() => document.querySelector('#likes').textContent === '2');
  await two.waitForFunction(() => document.querySelector('#online').textContent === '2');
});

test('hostile_names_and_texts_neither_run_script_nor_break_the_layout', TIMEOUT, async () => {
  const url = roomUrl();
  const family = '👨‍👩‍👧‍👦';
  const hostile = [
    '<img src=x onerror="globalThis.pwned=1">', '<script>globalThis.pwned=1</script>', '\u202Eevil\u202E right to left', 'a\u2028b\u2029c', 'nul\u0000nul',
    [...family].join('').repeat(28), 'W'.repeat(200), `Z${'\u0335\u0321\u034e'.repeat(60)}`, 'javascript:alert(1)', '{"type":"batch"}',
  ];
  const viewer = await pages.open(url, { viewport: { width: 390, height: 844 } });
  await online(viewer);
  const names = ['<img src=x onerror=globalThis.pwned=1>', '\u202Eeman', 'N'.repeat(300)];
  const writers = await Promise.all(names.map((name) => pages.open(`${url}&name=${encodeURIComponent(name)}`)));
  await Promise.all(writers.map(online));
  const outcomes = await Promise.all(hostile.map((text, index) => writers[index % writers.length].evaluate(
    (text) => globalThis.barrage.room.publish({ text, mode: 'sideways', color: 'red;}body{display:none', size: '900px' }).then(() => 'sent', (error) => error.code), text)));
  const sent = outcomes.filter((outcome) => outcome === 'sent').length;
  await say(writers[0], 'the end');
  await line(viewer, 'the end');
  await viewer.waitForFunction((count) => globalThis.barrage.chat.lines >= count, sent);
  const seen = await viewer.evaluate(() => {
    const list = document.querySelector('#chat-scroll');
    return {
      pwned: globalThis.pwned, elements: list.querySelectorAll('img, script, a').length,
      wide: document.documentElement.scrollWidth > innerWidth || list.scrollWidth > list.clientWidth,
      text: list.textContent, tallest: Math.max(...[...list.querySelectorAll('.line')].map((item) => item.offsetHeight)),
      body: getComputedStyle(document.body).display,
    };
  });
  assert.equal(seen.pwned, undefined);
  assert.equal(seen.elements, 0);
  assert.equal(seen.wide, false, 'nothing is wider than the screen');
  assert.equal(seen.body, 'grid');
  assert.doesNotMatch(seen.text, /[\u202E\u2028\u2029\u0000]/);
  assert.ok(seen.tallest < 420, `a line is ${seen.tallest} px high`);
});

test('page_is_usable_by_keyboard_alone', TIMEOUT, async () => {
  const url = roomUrl();
  const page = await pages.open(url);
  await online(page);
  await page.evaluate(() => globalThis.barrage.room.on('batch', ({ self, events }) => { if (self) { const { text, color, mode, size } = events[0].body; globalThis.written = { text, color, mode, size }; } }));
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.value);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter'); // the skip link
  assert.equal(await focused(), 'text');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'open-looks');
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowRight'); // from white to gold
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight'); // from scroll to top
  await page.keyboard.press('Enter'); // done, back to the text
  assert.equal(await focused(), 'text');
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Enter');
  await line(page, 'by keyboard');
  assert.deepEqual(await page.evaluate(() => globalThis.written), { text: 'by keyboard', color: '#ffd166', mode: 'top', size: 'medium' });
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'like');
  await page.keyboard.press('Space');
  await page.keyboard.press('l');
  assert.equal(await page.textContent('#likes'), '2');
  await page.focus('#open-settings');
  await page.keyboard.press('Enter');
  await page.locator('#settings[open]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#settings').waitFor({ state: 'hidden' });
  assert.equal(await focused(), 'open-settings', 'focus comes back from the sheet');
});

test('every_control_has_a_name_in_both_languages', TIMEOUT, async () => {
  for (const locale of ['en-US', 'zh-CN']) {
    const page = await pages.open(roomUrl(), { locale });
    await online(page);
    await page.click('#open-looks');
    await page.click('#open-settings');
    const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select, textarea, [role], dialog')]
      .filter((element) => !(element.getAttribute('aria-label') || element.getAttribute('aria-labelledby') || element.textContent.trim() || element.labels?.[0]?.textContent.trim() || element.getAttribute('role') === 'status' || element.hidden))
      .map((element) => element.outerHTML.slice(0, 120)));
    assert.deepEqual(nameless, []);
    const left = await page.evaluate(() => [...document.querySelectorAll('[data-t]')].filter((element) => element.textContent === element.dataset.t).map((element) => element.dataset.t));
    if (locale === 'zh-CN') assert.deepEqual(left, [], 'no key stands where words should');
  }
});

test('language_follows_browser_address_and_button_and_is_remembered', TIMEOUT, async () => {
  const url = roomUrl();
  const page = await pages.open(url, { locale: 'zh-CN' });
  await online(page);
  const language = () => page.evaluate(() => [document.documentElement.lang, document.querySelector('#send span').textContent]);
  assert.deepEqual(await language(), ['zh-CN', '发送']);
  await page.click('#language');
  assert.deepEqual(await language(), ['en', 'Send']);
  await page.reload();
  await online(page);
  assert.deepEqual(await language(), ['en', 'Send']);
  await page.goto(`${url}&lang=zh`);
  assert.deepEqual(await language(), ['zh-CN', '发送']);
  await page.click('#language');
  await page.reload();
  assert.deepEqual(await language(), ['en', 'Send'], 'the choice wins over an older address');
});

test('simulated_crowd_is_lively_says_what_it_is_and_stops', TIMEOUT, async (t) => {
  const page = await pages.open(roomUrl());
  await online(page);
  if (!(await page.evaluate(async () => (await (await fetch('client.json')).json()).dev))) return t.skip('not a gateway in development');
  await page.click('#crowd');
  await page.waitForFunction(() => globalThis.barrage.chat.lines > 20 && globalThis.barrage.overlay.stats.shown >= 20, null, { timeout: 10_000 });
  await page.waitForFunction(() => globalThis.barrage.crowd.size >= 25, null, { timeout: 10_000 });
  assert.match(await page.textContent('#simulated'), /Simulation/);
  assert.ok(await page.locator('#chat-list .name small', { hasText: 'sim' }).count() > 10);
  await page.click('#crowd');
  await page.locator('#simulated').waitFor({ state: 'hidden' });
  await page.waitForFunction(() => document.querySelector('#online').textContent === '1');
  const sockets = await page.evaluate(() => globalThis.barrage.crowd.size);
  assert.equal(sockets, 0);
  return undefined;
});

test('settings_reach_the_overlay_and_are_remembered', TIMEOUT, async () => {
  const url = roomUrl();
  const page = await pages.open(url);
  await online(page);
  await page.click('#open-settings');
  await page.locator('[name=opacity]').fill('0.5');
  await page.locator('[name=blockWords]').fill('spoiler\n');
  await page.keyboard.press('Escape');
  await page.reload();
  await online(page);
  const settings = await page.evaluate(() => { const { opacity, blockWords } = globalThis.barrage.overlay.settings; return { opacity, blockWords }; });
  assert.deepEqual(settings, { opacity: 0.5, blockWords: ['spoiler'] });
  await say(page, 'a SPOILER here');
  await say(page, 'harmless');
  await line(page, 'harmless');
  assert.equal(await page.locator('#chat-list', { hasText: 'SPOILER' }).count(), 0);
});

test('broken_storage_does_not_break_the_page', TIMEOUT, async () => {
  const init = () => { localStorage.setItem('barrage.settings', '{"area":"x","blockUsers":7,"speed":-4}'); localStorage.setItem('barrage.looks', 'not json'); };
  const page = await pages.open(roomUrl(), { init });
  await online(page);
  await say(page, 'still fine');
  await line(page, 'still fine');
});

test('new_nickname_is_taken_and_shown_to_others', TIMEOUT, async () => {
  const url = roomUrl();
  const [one, two] = await Promise.all([pages.open(`${url}&name=Before`), pages.open(url)]);
  await Promise.all([online(one), online(two)]);
  await one.click('#me');
  await one.fill('[name=nickname]', 'After');
  await one.keyboard.press('Enter');
  await one.locator('#settings').waitFor({ state: 'hidden' });
  await one.waitForFunction(() => document.querySelector('#me').textContent === 'After');
  await online(one);
  await say(one, 'renamed');
  await line(two, 'renamed');
  assert.equal(await two.textContent('#chat-list .name button'), 'After');
});

test('refused_text_stays_in_the_line_and_the_reason_is_told', TIMEOUT, async () => {
  const page = await pages.open(roomUrl());
  await online(page);
  // A slow machine types slower than the rate: others of its own go before, until one is refused.
  const flood = () => Promise.allSettled(Array.from({ length: 20 }, (_, n) => globalThis.barrage.room.publish({ text: `quick ${n}` })));
  const outcome = () => {
    if (document.querySelector('#hint').textContent.includes('slower')) return 'refused';
    return document.querySelector('#text').value === '' && 'sent';
  };
  let last;
  do {
    await page.evaluate(flood);
    await say(page, 'one too many');
    last = await (await page.waitForFunction(outcome)).jsonValue();
  } while (last === 'sent');
  assert.equal(await page.inputValue('#text'), 'one too many');
  await page.fill('#text', 'x'.repeat(201));
  assert.equal(await page.textContent('#left'), '-1');
});

test('chat_list_keeps_200_lines_and_tells_what_was_left_out', TIMEOUT, async () => {
  const own = await fake();
  const page = await pages.open(`${own.url}?room=busy`);
  await online(page);
  for (let slot = 0; slot < 6; slot += 1) {
    for (let count = 0; count < 55; count += 1) own.publish('busy', { kind: 'chat', body: { text: `line ${slot} ${count}` } });
    await line(page, `line ${slot} 39`);
  }
  assert.equal(await page.evaluate(() => globalThis.barrage.chat.lines), 200);
  await page.locator('.line.quiet:last-child', { hasText: /\d+ more were left out/ }).waitFor();
});

test('lost_connection_is_told_and_what_was_missed_comes_after_it', TIMEOUT, async () => {
  const own = await fake();
  const page = await pages.open(`${own.url}?room=drop`);
  await online(page);
  await say(page, 'before');
  await line(page, 'before');
  const told = page.waitForFunction(() => /lost/.test(document.querySelector('#link-text').textContent));
  own.dropAll();
  await told;
  own.publish('drop', { kind: 'chat', body: { text: 'meanwhile' } });
  await online(page);
  await line(page, 'meanwhile');
  assert.equal(await page.locator('#chat-list .text', { hasText: 'before' }).count(), 1);
});

test('what_was_missed_is_told_in_a_quiet_line_with_its_reason', TIMEOUT, async () => {
  const own = await fake();
  const page = await pages.open(`${own.url}?room=gaps`);
  await online(page);
  const quiet = () => page.locator('#chat-list .line.quiet').allTextContents();
  own.lose('gaps', 3, 'slow');
  own.lose('gaps', 4, 'slow');
  own.lose('gaps', 2, 'lost');
  own.lose('gaps', 0, 'expired');
  await page.locator('.line.quiet', { hasText: 'Some messages' }).waitFor();
  assert.deepEqual(await quiet(), [
    '7 messages were missed (connection too slow)', '2 messages were missed (lost on the way)', 'Some messages may have been missed (no longer kept)',
  ]);
  await say(page, 'in between');
  await line(page, 'in between');
  own.beginAnew('gaps');
  own.dropAll();
  await page.waitForFunction(() => !globalThis.barrage.room.joined);
  await online(page);
  await page.waitForFunction(() => /no longer kept/.test(document.querySelector('#chat-list .line:last-child').textContent));
  assert.equal(await page.evaluate(() => globalThis.barrage.room.accounting.holes), 0);
  own.lose('gaps', 1, '<img src=x onerror="globalThis.pwned=1">');
  await page.locator('.line.quiet', { hasText: '<img' }).waitFor();
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
});

test('who_is_refused_is_told_why_in_words', TIMEOUT, async () => {
  const refused = await fake({ refusal: { code: 4500, reason: 'bad_token' } });
  for (const [lang, words] of [['en', 'Not connected: this gateway asks for a token'], ['zh', '未连接：这个网关需要令牌']]) {
    const page = await pages.open(roomUrl(`&lang=${lang}`, refused.url));
    await page.locator('#link-text', { hasText: words }).waitFor();
  }
});

test('crowd_is_not_offered_outside_development_and_a_base_path_is_kept', TIMEOUT, async () => {
  const own = await fake({ dev: false, base: '/live/show' });
  const page = await pages.open(`${own.url}?room=base`);
  await online(page);
  assert.equal(await page.isVisible('#crowd'), false);
  await pages.open(`${own.url}overlay?room=base`).then((overlay) => overlay.waitForFunction(() => document.body.dataset.state === 'online'));
});

test('narrow_and_low_screens_keep_everything_in_reach', TIMEOUT, async () => {
  for (const viewport of [{ width: 320, height: 568 }, { width: 390, height: 844 }, { width: 740, height: 360 }]) {
    const page = await pages.open(roomUrl(), { viewport });
    await online(page);
    const boxes = await page.evaluate(() => ['#stage', '#text', '#send', '#like', '#open-settings', '#chat-scroll'].map((selector) => {
      const { left, right, top, bottom, width, height } = document.querySelector(selector).getBoundingClientRect();
      return { selector, fits: left >= 0 && top >= 0 && right <= innerWidth + 0.5 && bottom <= innerHeight + 0.5 && width > 24 && height > 24 };
    }));
    assert.deepEqual(boxes.filter((box) => !box.fits), [], `${viewport.width}×${viewport.height}`);
  }
});

test('picture_stands_still_where_less_motion_is_wished', TIMEOUT, async () => {
  const page = await pages.open(roomUrl(), { reducedMotion: 'reduce' });
  await online(page);
  const picture = () => page.evaluate(() => document.querySelector('#scene').toDataURL('image/jpeg', 0.4));
  const first = await picture();
  await say(page, 'calm');
  await line(page, 'calm');
  assert.ok(first.length > 2_000, 'there is a picture');
  assert.equal(await picture(), first);
});
