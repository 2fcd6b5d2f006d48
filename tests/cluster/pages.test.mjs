// Two gateways started as docs/cluster.md says: what is written on the page of one flies on the
// page of the other.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Pages, flown, launch, line, online, say } from '../../web/tests/pages-browser.mjs';
import { Stage } from './stage.mjs';

const TIMEOUT = { timeout: 120_000 };
let stage;
let gateways;
let browser;
let pages;

before(async () => {
  stage = await Stage.set();
  await stage.startNats();
  gateways = await stage.startGateways();
  browser = await launch();
  pages = new Pages(browser);
}, TIMEOUT);
after(async () => {
  try { await pages?.close(); } finally {
    await browser?.close();
    await stage?.clear();
  }
}, TIMEOUT);

test('danmaku_written_on_the_page_of_one_gateway_flies_on_the_page_of_the_other', TIMEOUT, async () => {
  assert.equal(gateways.length, 2);
  const [one, two] = await Promise.all(gateways.map(({ pages: url }, number) => pages.open(`${url}?room=both&name=${['Ann', 'Bo'][number]}`)));
  await Promise.all([online(one), online(two)]);
  await say(one, 'hello over there');
  await Promise.all([line(two, 'hello over there'), flown(two, 1), line(one, 'hello over there'), flown(one, 1)]);
  assert.equal(await two.textContent('#chat-list .name button'), 'Ann');
  await say(two, '前方高能');
  await Promise.all([line(one, '前方高能'), flown(one, 2)]);
  assert.equal(await two.locator('#chat-list .line').count(), 2, 'once each');
});

test('viewers_and_likes_of_both_gateways_are_counted_together', TIMEOUT, async () => {
  const [one, two] = await Promise.all(gateways.map(({ pages: url }) => pages.open(`${url}?room=counted`)));
  await Promise.all([online(one), online(two)]);
  await one.click('#like');
  await two.waitForFunction(() => document.querySelector('#likes').textContent === '1');
  for (const page of [one, two]) await page.waitForFunction(() => document.querySelector('#online').textContent === '2');
});
