/** The declarations hold for a page that uses them as documented. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as barrage from '../barrage.js';
import * as overlay from '../overlay.js';

const WEB = fileURLToPath(new URL('..', import.meta.url));

test('a page written against the declarations compiles, and misuse does not', () => {
  const args = ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tests/types'];
  try {
    execFileSync(process.execPath, args, { cwd: WEB, encoding: 'utf8' });
  } catch (error) {
    assert.fail(error.stdout);
  }
});

test('everything declared exists', () => {
  assert.deepEqual(Object.keys(barrage).sort(), ['BarrageClient', 'BarrageError', 'Room']);
  assert.deepEqual(Object.keys(overlay), ['Overlay']);
  const members = (type, ...names) => names.filter((name) => !(name in type.prototype));
  assert.deepEqual(members(barrage.BarrageClient, 'status', 'on', 'join', 'command', 'refresh', 'serverNow', 'close'), []);
  assert.deepEqual(members(barrage.Room, 'accounting', 'on', 'publish', 'like', 'moderate', 'leave'), []);
  assert.deepEqual(members(overlay.Overlay, 'stats', 'settings', 'push', 'set', 'remove', 'removeUser', 'clear', 'destroy'), []);
});
