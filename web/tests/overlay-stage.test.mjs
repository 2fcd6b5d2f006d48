import { test } from 'node:test';
import assert from 'node:assert/strict';
import { RANK } from '../overlay/entry.js';
import { DEFAULTS } from '../overlay/settings.js';
import { Stage } from '../overlay/stage.js';
import { seeded } from './seeded.mjs';

const WIDTH = 1280;
const LANE = 30;

function startStage({ width = WIDTH, lanes = 4 } = {}) {
  const gone = [];
  const stage = new Stage((item) => gone.push(item.id));
  stage.resize(width, lanes * LANE, LANE);
  return { stage, gone };
}

let nextId = 0;
function entry({ width = 100, height = LANE, mode = 'scroll', rank = RANK.normal, userId } = {}) {
  nextId += 1;
  return { id: `e${nextId}`, userId, text: '', mode, rank, layout: { width, height } };
}

const settings = (changes = {}) => ({ ...DEFAULTS, ...changes });

/** Pairs that cover the same pixels. */
function overlaps(stage, wanted) {
  const items = stage.items.filter(wanted);
  const found = [];
  items.forEach((a, index) => {
    for (const b of items.slice(index + 1)) {
      const apart =
        stage.x(a) + a.width <= stage.x(b) || stage.x(b) + b.width <= stage.x(a) ||
        a.y + a.height <= b.y || b.y + b.height <= a.y;
      if (!apart) found.push([a, b]);
    }
  });
  return found;
}

test('a lane is free again when the text before has entered with a gap behind it', () => {
  const { stage } = startStage({ lanes: 1 });
  const first = stage.admit(entry(), settings());
  assert.equal(stage.x(first), WIDTH);
  assert.equal(stage.mayAdmit('scroll', settings()), false);
  assert.equal(stage.admit(entry(), settings()), undefined);
  stage.advance((100 / first.speed) + 1, 1);
  assert.equal(stage.admit(entry(), settings()), undefined, 'entered, but without a gap');
  stage.advance((24 / first.speed) + 1, 1);
  assert.equal(stage.mayAdmit('scroll', settings()), true);
  assert.ok(stage.admit(entry(), settings()));
});

test('a faster text waits until it cannot catch up with the slower one before it', () => {
  const { stage } = startStage({ lanes: 1 });
  const slow = stage.admit(entry({ width: 40 }), settings());
  const tailOutMs = (WIDTH + 40) / slow.speed;
  const fastMs = (WIDTH / (WIDTH + 900)) * 8_000;
  stage.advance(tailOutMs - fastMs - 20, 1);
  assert.equal(stage.admit(entry({ width: 900 }), settings()), undefined);
  stage.advance(40, 1);
  assert.ok(stage.admit(entry({ width: 900 }), settings()));
});

test('texts of opposite directions never share a lane', () => {
  const { stage } = startStage({ lanes: 2 });
  const forward = stage.admit(entry(), settings());
  const backward = stage.admit(entry({ mode: 'reverse' }), settings());
  assert.deepEqual([forward.first, backward.first], [0, 1]);
  assert.equal(stage.x(backward), -100);
  stage.advance(3_000, 1);
  assert.equal(stage.admit(entry({ mode: 'reverse' }), settings()).first, 1);
  assert.equal(stage.admit(entry(), settings()).first, 0);
});

test('a large text takes two lanes', () => {
  const { stage } = startStage({ lanes: 3 });
  const large = stage.admit(entry({ height: 45 }), settings());
  assert.deepEqual([large.first, large.span], [0, 2]);
  assert.equal(stage.admit(entry({ height: 45 }), settings()), undefined);
  assert.equal(stage.admit(entry(), settings()).first, 2);
});

test('top texts fill from above, bottom texts from below, a third of the lanes at most', () => {
  const { stage, gone } = startStage({ lanes: 12 });
  const firsts = ['top', 'bottom', 'top', 'bottom', 'top'].map(
    (mode) => stage.admit(entry({ mode }), settings())?.first,
  );
  assert.deepEqual(firsts, [0, 11, 1, 10, undefined]);
  assert.equal(stage.x(stage.items[0]), (WIDTH - 100) / 2);
  stage.advance(6_000, 1);
  assert.equal(gone.length, 4);
  assert.equal(stage.items.length, 0);
});

test('moving texts leave when they have crossed, faster at a higher speed', () => {
  const { stage, gone } = startStage();
  stage.admit(entry(), settings());
  stage.advance(7_990, 1);
  assert.equal(gone.length, 0);
  stage.advance(20, 1);
  assert.equal(gone.length, 1);
  stage.admit(entry(), settings());
  stage.advance(4_010, 2);
  assert.equal(gone.length, 2);
});

test('normal texts never overlap each other, whatever comes', () => {
  for (const seed of [1, 7, 1234]) {
    const random = seeded(seed);
    const { stage } = startStage({ lanes: 12 });
    let admitted = 0;
    for (let step = 0; step < 2_500; step += 1) {
      const mode = random() < 0.1 ? 'reverse' : 'scroll';
      const height = random() < 0.1 ? 45 : LANE;
      if (stage.admit(entry({ mode, height, width: 20 + random() * 900 }), settings())) admitted += 1;
      stage.advance(16 + random() * 20, 0.5 + random());
      // A pixel of rounding on each side.
      const deep = overlaps(stage, () => true).filter(([a, b]) => {
        const shared = Math.min(stage.x(a) + a.width, stage.x(b) + b.width) - Math.max(stage.x(a), stage.x(b));
        return shared > 2;
      });
      assert.deepEqual(deep, [], `seed ${seed}, step ${step}`);
    }
    assert.ok(admitted > 300, `seed ${seed}: ${admitted}`);
  }
});

test('density halves what is admitted', () => {
  const admitted = (density) => {
    const { stage } = startStage({ lanes: 6 });
    let count = 0;
    for (let step = 0; step < 3_000; step += 1) {
      if (stage.admit(entry(), settings({ density }))) count += 1;
      stage.advance(20, 1);
    }
    return count;
  };
  const ratio = admitted(0.5) / admitted(1);
  assert.ok(ratio > 0.45 && ratio < 0.55, String(ratio));
});

test('an important text is always admitted, in a free lane when there is one', () => {
  const { stage, gone } = startStage({ lanes: 2 });
  stage.admit(entry(), settings());
  assert.equal(stage.admit(entry({ rank: RANK.paid }), settings()).first, 1);
  const own = stage.admit(entry({ rank: RANK.self }), settings());
  assert.equal(own.first, 0);
  assert.equal(gone.length, 1, 'the normal text was replaced');
  assert.deepEqual(overlaps(stage, () => true), []);
});

test('important texts overlap only each other, where the one before has gone furthest', () => {
  const { stage, gone } = startStage({ lanes: 2 });
  stage.admit(entry({ rank: RANK.staff, width: 400 }), settings());
  stage.advance(500, 1);
  stage.admit(entry({ rank: RANK.staff, width: 400 }), settings());
  stage.advance(200, 1);
  const third = stage.admit(entry({ rank: RANK.self }), settings());
  assert.equal(third.first, 0);
  assert.equal(gone.length, 0);
});

test('an important standing text replaces the normal one that has stood longest', () => {
  const { stage, gone } = startStage({ lanes: 2 });
  const older = stage.admit(entry({ mode: 'bottom' }), settings());
  stage.advance(1_000, 1);
  const paid = stage.admit(entry({ mode: 'top', rank: RANK.paid }), settings());
  assert.deepEqual([paid.first, gone], [0, []], 'not while a lane is free');
  const own = stage.admit(entry({ mode: 'top', rank: RANK.self }), settings());
  assert.deepEqual([own.first, gone], [1, [older.id]]);
  assert.equal(overlaps(stage, () => true).length, 0);
});

test('the cap of texts on screen holds, also for important ones', () => {
  const { stage, gone } = startStage({ lanes: 20 });
  const capped = settings({ maxOnScreen: 5 });
  for (let i = 0; i < 5; i += 1) stage.admit(entry(), capped);
  assert.equal(stage.mayAdmit('scroll', capped), false);
  assert.equal(stage.admit(entry(), capped), undefined);
  for (let i = 0; i < 5; i += 1) assert.ok(stage.admit(entry({ rank: RANK.paid }), capped));
  assert.equal(gone.length, 5);
  assert.equal(stage.admit(entry({ rank: RANK.paid }), capped), undefined);
  assert.equal(stage.items.length, 5);
});

test('a smaller stage lets go of what is below it, a hidden one admits nothing', () => {
  const { stage, gone } = startStage({ lanes: 4 });
  for (let i = 0; i < 4; i += 1) stage.admit(entry(), settings());
  stage.resize(WIDTH, 2 * LANE, LANE);
  assert.equal(gone.length, 2);
  stage.resize(0, 0, LANE);
  assert.equal(stage.items.length, 0);
  assert.equal(stage.mayAdmit('scroll', settings()), false);
  assert.equal(stage.admit(entry({ rank: RANK.self }), settings()), undefined);
});

test('a removed text frees its lane', () => {
  const { stage } = startStage({ lanes: 1 });
  stage.admit(entry({ userId: 'u1' }), settings());
  stage.remove((item) => item.userId === 'u1');
  assert.equal(stage.items.length, 0);
  assert.ok(stage.admit(entry(), settings()));
});
