// The page for browser sources, in a browser. Against `BARRAGE_URL` when set;
// what only a server may publish (gifts, notices) comes from a fake gateway.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { startFakeGateway } from './fake-gateway.mjs';
import { Pages, flown, launch, online, say } from './pages-browser.mjs';

const TIMEOUT = { timeout: 60_000 };
const user = (name) => ({ id: `u-${name}`, name, roles: [], level: 1 });
let fake;
let base;
let browser;
let pages;
let rooms = 0;

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

const room = () => `overlay-${process.pid}-${Date.now().toString(36)}-${(rooms += 1)}`;
const connected = (page) => page.waitForFunction(() => document.body.dataset.state === 'online');

test('overlay_page_is_transparent_and_shows_what_is_written_in_the_room', TIMEOUT, async () => {
  const name = room();
  const [overlay, demo] = await Promise.all([pages.open(`${base}overlay?room=${name}&mode=both`), pages.open(`${base}?room=${name}&name=Ann`)]);
  await Promise.all([connected(overlay), online(demo)]);
  const empty = await overlay.screenshot({ omitBackground: true });
  assert.equal(await opaquePixels(overlay, empty), 0, 'nothing but transparency while nobody writes');
  await say(demo, 'hello stream');
  await flown(overlay, 1);
  await overlay.locator('#list .text', { hasText: 'hello stream' }).waitFor();
  assert.ok(await opaquePixels(overlay, await overlay.screenshot({ omitBackground: true })) > 0);
});

test('parameters_reach_the_overlay_and_nonsense_is_as_if_absent', TIMEOUT, async () => {
  const overlay = await pages.open(`${base}overlay?room=${room()}&area=0.5&speed=99&scale=abc&density=0.3&delay=1500&block=spoiler,%E5%89%A7%E9%80%8F&modes=scroll&max=7&mode=nonsense&opacity=0.4`);
  const seen = await overlay.evaluate(() => ({ ...globalThis.barrage.overlay.settings, page: document.body.style.opacity, list: document.querySelector('#list').hidden }));
  assert.deepEqual(
    { area: seen.area, speed: seen.speed, fontScale: seen.fontScale, density: seen.density, delayMs: seen.delayMs, blockWords: seen.blockWords, blockModes: seen.blockModes, max: seen.maxOnScreen, page: seen.page, list: seen.list },
    { area: 0.5, speed: 4, fontScale: 1, density: 0.3, delayMs: 1500, blockWords: ['spoiler', '剧透'], blockModes: ['top', 'bottom', 'reverse'], max: 7, page: '0.4', list: true },
  );
});

test('gifts_count_up_on_one_card_and_paid_messages_have_cards_of_their_own', TIMEOUT, async () => {
  const name = room();
  const overlay = await pages.open(`${fake.url}overlay?room=${name}`);
  await connected(overlay);
  const rose = { kind: 'gift', user: user('Kim'), body: { gift: 'rose', count: 2 } };
  fake.publish(name, rose);
  fake.publish(name, rose);
  fake.publish(name, { kind: 'paid', user: user('<b>Lee'), body: { text: 'well <i>played', amount: 5, currency: 'EUR' } });
  await overlay.locator('.card.gift .amount', { hasText: '×4' }).waitFor();
  await overlay.locator('.card.paid .text', { hasText: 'well <i>played' }).waitFor();
  assert.equal(await overlay.locator('.card').count(), 2);
});

test('cards_and_list_hold_a_bounded_number', TIMEOUT, async () => {
  const name = room();
  const overlay = await pages.open(`${fake.url}overlay?room=${name}&mode=list&lines=8`);
  await connected(overlay);
  for (let count = 0; count < 12; count += 1) fake.publish(name, { kind: 'gift', user: user(`g${count}`), body: { gift: 'star' } });
  for (let count = 0; count < 28; count += 1) fake.publish(name, { kind: 'chat', user: user(`c${count}`), body: { text: `line ${count}` } });
  await overlay.locator('#list .text', { hasText: 'line 27' }).waitFor();
  assert.equal(await overlay.locator('#list li').count(), 8);
  assert.equal(await overlay.locator('.card').count(), 3);
});

test('missed_messages_are_told_in_the_list_where_the_state_is_told', TIMEOUT, async () => {
  const name = room();
  const [told, pure] = await Promise.all(['&status=1', ''].map((extra) => pages.open(`${fake.url}overlay?room=${name}&mode=list${extra}`)));
  await Promise.all([connected(told), connected(pure)]);
  await fake.joined(name, 2);
  fake.lose(name, 5, 'slow');
  fake.lose(name, 0, 'expired');
  fake.publish(name, { kind: 'chat', user: user('a'), body: { text: 'afterwards' } });
  for (const page of [told, pure]) await page.locator('#list .text', { hasText: 'afterwards' }).waitFor();
  assert.deepEqual(await told.locator('#list .quiet').allTextContents(), ['5 messages missed', 'Some messages may have been missed']);
  assert.equal(await pure.locator('#list li').count(), 1);
});

test('a_refusal_is_told_in_words_where_the_state_is_told', TIMEOUT, async () => {
  const refused = await startFakeGateway({ refusal: { code: 4500, reason: 'bad_token' } });
  try {
    const told = async (extra, words) => {
      const page = await pages.open(`${refused.url}overlay?room=${room()}&status=1&lang=en${extra}`);
      await page.locator('#state', { hasText: words }).waitFor();
      assert.equal(await page.textContent('#state'), words);
    };
    await told('', 'Not connected: this gateway asks for a token');
    await told('&token=x', 'Not connected: the token is not good for this gateway');
  } finally { await refused.close(); }
});

test('what_moderators_take_back_leaves_list_and_cards', TIMEOUT, async () => {
  const name = room();
  const overlay = await pages.open(`${fake.url}overlay?room=${name}&mode=both`);
  await connected(overlay);
  fake.publish(name, { id: 'bad-1', kind: 'chat', user: user('a'), body: { text: 'rude' } });
  fake.publish(name, { kind: 'chat', user: user('b'), body: { text: 'purge me' } });
  fake.publish(name, { kind: 'chat', user: user('c'), body: { text: 'kept' } });
  await overlay.locator('#list .text', { hasText: 'kept' }).waitFor();
  fake.publish(name, { kind: 'notice', body: { deleted: { events: ['bad-1'] } } });
  fake.publish(name, { kind: 'notice', body: { purged: { user: 'u-b' } } });
  await overlay.waitForFunction(() => document.querySelectorAll('#list li').length === 1);
  assert.equal(await overlay.textContent('#list .text'), 'kept');
});

test('browser_source_waits_a_little_connects_and_comes_back_after_a_cut', TIMEOUT, async () => {
  const name = room();
  const overlay = await pages.open(`${fake.url}overlay?room=${name}&mode=list`, { init: () => { globalThis.obsstudio = {}; } });
  await connected(overlay);
  // It may be back within a few milliseconds, so its state is watched instead of looked at.
  await overlay.evaluate(() => {
    globalThis.states = [];
    new MutationObserver(() => globalThis.states.push(document.body.dataset.state))
      .observe(document.body, { attributes: true, attributeFilter: ['data-state'] });
  });
  fake.dropAll();
  fake.publish(name, { kind: 'chat', user: user('a'), body: { text: 'said meanwhile' } });
  await overlay.waitForFunction(() => globalThis.states.includes('reconnecting'));
  await connected(overlay);
  await overlay.locator('#list .text', { hasText: 'said meanwhile' }).waitFor();
});

test('test_messages_appear_without_anybody_in_the_room_and_stay_on_the_page', TIMEOUT, async () => {
  const name = room();
  const [overlay, demo] = await Promise.all([pages.open(`${base}overlay?room=${name}&mode=both&test=1`), pages.open(`${base}?room=${name}`)]);
  await Promise.all([online(demo), flown(overlay, 4)]);
  await overlay.locator('.card').first().waitFor();
  assert.equal(await demo.evaluate(() => globalThis.barrage.chat.lines), 0);
});

/** How many pixels of a PNG are not fully transparent, as the browser decodes it. */
function opaquePixels(page, png) {
  return page.evaluate(async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 3; at < data.length; at += 4) if (data[at] > 0) count += 1;
    return count;
  }, `data:image/png;base64,${png.toString('base64')}`);
}
