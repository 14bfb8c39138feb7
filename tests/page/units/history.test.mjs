// What of a time the charts show.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {History, LONG_RANGE_CHOICES, RANGE_MEANT, RANGES} from '../../../broker/page/app/history.js';

test('choices are ranges, the shortest first', () => {
  const ages = LONG_RANGE_CHOICES.map(([range]) => new History(range).age);
  assert.deepEqual(ages, [60, 600, 3600, 28_800, 86_400]);
  assert.ok(LONG_RANGE_CHOICES.some(([range]) => range === RANGE_MEANT));
  assert.equal(new History('no such').age, RANGES[RANGE_MEANT][0]);
});

test('no more is asked for than is missing, and never more than is shown', () => {
  const history = new History('24h');
  const day = 86_400;
  const now = 1_700_000_000_000;
  assert.deepEqual(history.query(['lengths'], now), {lengths_age: day, lengths_incr: 1800});
  const samples = Array.from({length: 48}, (_, n) => ({timestamp: now - n * 1_800_000, sample: n}));
  history.add('ready', {samples}, 'sample', now);
  assert.equal(history.of('ready').length, 48);
  assert.equal(history.query(['lengths'], now + 1_800_000).lengths_age, 3 * 1800);
});
