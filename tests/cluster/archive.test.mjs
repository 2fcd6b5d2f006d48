// A cluster and its archive started as docs/cluster.md says: danmaku of a real file that are
// published through one gateway come out of the archive as the same danmaku.
//
// BARRAGE_ARCHIVES may name more files, separated by `:`.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Stage, eventually } from './stage.mjs';

const TIMEOUT = { timeout: 300_000 };
const SAMPLE = fileURLToPath(new URL('../../loadtest/samples/sample.xml', import.meta.url));
const FILES = [SAMPLE, ...(process.env.BARRAGE_ARCHIVES ?? '').split(':').filter(Boolean)];
const EVENTS_PER_REQUEST = 100;
const MODES = { 1: 'scroll', 2: 'scroll', 3: 'scroll', 4: 'bottom', 5: 'top', 6: 'reverse' };
const NUMBERS = { scroll: 1, bottom: 4, top: 5, reverse: 6 };
const POINTS = { small: 18, medium: 25, large: 36 };
const ENTITIES = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

let stage;
let gateways;
let archive;

before(async () => {
  stage = await Stage.set();
  await stage.startNats();
  gateways = await stage.startGateways();
  archive = await stage.startArchive();
}, TIMEOUT);
after(() => stage?.clear(), TIMEOUT);

const unescape = (text) => text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (all, decimal, hex, name) => {
  if (name) return ENTITIES[name] ?? all;
  return String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16));
});

/** The text as rooms take it: nothing invisible, no line breaks, nothing around it. */
const visible = (text) => text.replace(/[\n\r\t]/g, ' ').replace(/[\p{Cc}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu, '').trim();

/** The comments of a file that live rooms have, in the order of their times. */
function read(xml) {
  const comments = [];
  for (const [, p, raw] of xml.matchAll(/<d p="([^"]*)"[^>]*>([^<]*)<\/d>/g)) {
    const fields = p.split(',');
    const [time, mode, size, color] = fields.map(Number);
    const text = visible(unescape(raw));
    if (fields.length < 8 || !(time >= 0) || !MODES[mode] || !Number.isInteger(color) || text === '' || [...text].length > 200) continue;
    comments.push({ time, text, mode: MODES[mode], size: size < 25 ? 'small' : size > 25 ? 'large' : 'medium', color: color & 0xffffff });
  }
  return comments.sort((a, b) => a.time - b.time);
}

const hex = (color) => `#${color.toString(16).padStart(6, '0')}`;

async function publish(room, comments) {
  for (let at = 0; at < comments.length; at += EVENTS_PER_REQUEST) {
    // One request after the other, over either gateway: the order of the room is theirs.
    const { admin } = gateways[(at / EVENTS_PER_REQUEST) % 2];
    const events = comments.slice(at, at + EVENTS_PER_REQUEST).map(({ text, mode, size, color }) => ({ room, body: { text, mode, size, color: hex(color) }, user: { id: 'u-1' } }));
    const answer = await fetch(`${admin}/v1/events`, { method: 'POST', headers: { authorization: 'Bearer dev' }, body: JSON.stringify({ events }) });
    assert.equal(answer.status, 200);
    const { results } = await answer.json();
    for (const result of results) assert.equal(result.stored, true, JSON.stringify(result));
  }
}

const lines = async (room) => (await stage.bridge('query', '--dir', 'archive', '--room', room)).split('\n').filter(Boolean);
/** What is compared; sizes and modes as exports number them. */
const plain = (comments) => comments.map(({ text, mode, size, color }) => ({ text, mode: NUMBERS[mode], size: POINTS[size], color }));

for (const [number, file] of FILES.entries()) {
  test(`danmaku_of_${path.basename(file)}_come_out_of_the_archive_as_they_went_in`, TIMEOUT, async () => {
    const room = `archive-${number}`;
    const comments = read(await readFile(file, 'utf8'));
    assert.ok(comments.length >= 40, `${comments.length} comments`);
    await publish(room, comments);
    await eventually('all lines in the archive', async () => (await lines(room).catch(() => [])).length >= comments.length);

    const from = ['--dir', 'archive', '--room', room];
    const xml = await stage.bridge('export', '--format', 'xml', ...from);
    assert.ok(xml.startsWith('<?xml version="1.0" encoding="UTF-8"?><i'));
    const exported = [...xml.matchAll(/<d p="([^"]*)">([^<]*)<\/d>/g)].map(([, p, text]) => ({ p: p.split(',').map(Number), text: unescape(text) }));
    assert.deepEqual(exported.map(({ p: [, mode, size, color], text }) => ({ text, mode, size, color })), plain(comments));
    assert.deepEqual(read(xml).map(({ text }) => text), comments.map(({ text }) => text), 'in the order of their times too');

    const json = JSON.parse(await stage.bridge('export', '--format', 'json', ...from));
    assert.deepEqual(plain(json.danmaku.map((one) => ({ ...one, color: Number.parseInt(one.color.slice(1), 16) }))), plain(comments));

    await stage.bridge('export', '--format', 'protobuf', '--out', `segments-${number}`, ...from);
    assert.deepEqual(await readdir(path.join(stage.folder, `segments-${number}`)), ['1.pb'], 'all of it within six minutes');
  });
}

test('worker_that_is_told_to_end_ends_well_and_chat_does_not_notice', TIMEOUT, async () => {
  const before = (await lines('archive-0')).length;
  assert.equal(await archive.stop(), 0, archive.log);
  await publish('archive-0', [{ text: 'nobody archives', mode: 'top', size: 'small', color: 0 }]);
  assert.equal((await lines('archive-0')).length, before);
  await stage.startArchive();
  await eventually('what was said meanwhile', async () => (await lines('archive-0')).at(-1)?.includes('nobody archives'));
});
