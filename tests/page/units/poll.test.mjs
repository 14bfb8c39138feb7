// What is asked in a round, and what is asked seldom.
import assert from 'node:assert/strict';
import {test} from 'node:test';

globalThis.location ??= {pathname: '/ui/overview'};
globalThis.document ??= {hidden: false, addEventListener() {}};
globalThis.window ??= {setTimeout: () => 0};
globalThis.localStorage ??= {getItem: () => null, setItem() {}};

const {Poll} = await import('../../../broker/page/app/poll.js');

/** Answers everything, and keeps what was asked with which interval. */
function answering() {
  const asked = [];
  globalThis.fetch = async (url, {headers}) => {
    asked.push([String(url).split('/api/')[1], headers['x-leveret-page']]);
    return new Response('{"n":1}', {status: 200});
  };
  return asked;
}

test('what costs more is asked seldom, and says so', async () => {
  const asked = answering();
  let path = 'dear';
  const poll = new Poll(() => ({cheap: 'cheap', dear: {path, every: 15}, none: null, not: undefined}), () => {});
  let now = 1_000_000;
  const clock = Date.now;
  Date.now = () => now;
  try {
    await poll.now();
    assert.deepEqual(asked.splice(0), [['cheap', '5'], ['dear', '15']]);
    for (const [seconds, expected] of [[5, ['cheap']], [5, ['cheap']], [4.9, ['cheap', 'dear']], [5, ['cheap']]]) {
      now += 1000 * seconds;
      await poll.now();
      assert.deepEqual(asked.splice(0).map(([one]) => one), expected);
      assert.deepEqual(poll.data, {cheap: {n: 1}, dear: {n: 1}}, 'it stays meanwhile');
    }
    // Another question is asked at once.
    path = 'other';
    await poll.now();
    assert.deepEqual(asked.splice(0).map(([one]) => one), ['cheap', 'other']);
  } finally {
    Date.now = clock;
  }
});

test('what failed is asked again in the next round', async () => {
  const asked = answering();
  const works = globalThis.fetch;
  const poll = new Poll(() => ({dear: {path: 'dear', every: 15}}), () => {});
  globalThis.fetch = async () => new Response('{"reason":"no"}', {status: 500});
  await poll.now();
  assert.equal(poll.errors.dear.kind, 'failed');
  globalThis.fetch = works;
  await poll.now();
  assert.deepEqual([asked.length, poll.errors.dear, poll.data.dear], [1, undefined, {n: 1}]);
});
