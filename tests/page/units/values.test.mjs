// Numbers, times, scales, and rows that are to be seen.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {jsonOr, readJson} from '../../../broker/page/app/json.js';
import {bytes, count, rate, share} from '../../../broker/page/app/number.js';
import {compare, pagesOf, sorted} from '../../../broker/page/app/sorting.js';
import {nearest, path, short, ticks, timeTicks} from '../../../broker/page/parts/scale.js';
import {ago, duration, exact} from '../../../broker/page/app/time.js';
import {sortOf, sortedBy, visible} from '../../../broker/page/parts/visible.js';
import {growth, merged} from '../../../broker/page/app/history.js';

// A number and its unit stand in one line.
const plain = (text) => text.replaceAll('\u00a0', ' ');

test('numbers', () => {
  assert.deepEqual([0, 999, 12345, undefined, NaN, 'x'].map(count), ['0', '999', '12,345', '–', '–', '–']);
  assert.deepEqual([0, 0.01, 0.4, 99.94, 1234.5, null].map(rate), ['0', '<0.1', '0.4', '99.9', '1,235', '–']);
  assert.deepEqual([0, 1023, 1024, 1.5 * 1024 ** 3, 1024 ** 6].map(bytes), [
    '0 B',
    '1,023 B',
    '1.0 KiB',
    '1.5 GiB',
    '1,024 PiB',
  ]);
  assert.deepEqual([0, 0.25, 950, 1200, 34e5, 2e9].map(short), ['0', '0.3', '950', '1.2k', '3.4M', '2G']);
  assert.deepEqual([share(1, 3), share(1, 0), share(undefined, 3)], ['33%', '–', '–']);
});

test('times', () => {
  const s = 1000;
  assert.deepEqual(
    [0, 250, 4230, 59.9 * s, 65 * s, 3600 * s, 7800 * s, 26 * 3600 * s, -5 * s, undefined].map(duration).map(plain),
    ['0 ms', '250 ms', '4.2 s', '59 s', '1 min 5 s', '1 h', '2 h 10 min', '1 d 2 h', '−5 s', '–'],
  );
  assert.deepEqual(
    [0, 500, 5900, 65_000, -180_000, -7_197_100, -1500].map((past) => plain(ago(1e12, 1e12 + past))),
    ['now', 'now', '5 s ago', '1 min ago', 'in 3 min', 'in 1 h 59 min', 'in 2 s'],
  );
  assert.match(exact(0), /^(1970-01-01|1969-12-31) \d\d:\d\d:\d\d\.000 [+−]\d\d:\d\d$/);
  assert.equal(exact(NaN), '–');
});

test('scales have round numbers and hold the largest', () => {
  for (const max of [0, 0.3, 1, 3, 7, 10, 12.5, 99, 101, 12_345, 1e9]) {
    const marks = ticks(max);
    assert.ok(marks[0] === 0 && marks.at(-1) >= max && marks.length <= 7, `${max}: ${marks}`);
  }
  assert.deepEqual(ticks(7), [0, 2, 4, 6, 8]);
  const times = timeTicks(1e12, 1e12 + 600_000, 5);
  assert.ok(times.length >= 3 && times.length <= 6 && times.every((time) => time % 60_000 === 0));
});

test('lines have gaps where nothing is known', () => {
  const line = path(
    [
      [0, 1],
      [5, 2],
      [50, 3],
    ],
    (x) => x,
    (y) => y,
    10,
  );
  assert.equal(line, 'M0.0 1.0L5.0 2.0M50.0 3.0');
  assert.deepEqual(
    [-5, 0, 2, 3, 30, 99].map((time) =>
      nearest(
        [
          [0, 1],
          [5, 2],
          [50, 3],
        ],
        time,
      ),
    ),
    [0, 0, 0, 1, 2, 2],
  );
  assert.equal(nearest([], 5), -1);
});

test('what is asked again takes the place of what was known', () => {
  assert.deepEqual(
    merged(
      [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
      [
        [3, 4],
        [4, 5],
      ],
      2,
    ),
    [
      [2, 2],
      [3, 4],
      [4, 5],
    ],
  );
  assert.deepEqual(merged([[1, 1]], [], 0), [[1, 1]]);
  assert.deepEqual(
    growth([
      [0, 0],
      [5000, 10],
      [10_000, 5],
    ]),
    [
      [5000, 2],
      [10_000, 0],
    ],
  );
});

test('rows that are to be seen', () => {
  assert.deepEqual(visible({top: 0, height: 300, row: 30, total: 5}), {first: 0, end: 5});
  const {first, end} = visible({top: 30_000, height: 600, row: 30, total: 10_000});
  assert.ok(first <= 1000 && first % 2 === 0 && end >= 1020 && end - first < 60);
  assert.deepEqual(visible({top: 1e9, height: 600, row: 30, total: 100}), {first: 100, end: 100});
  assert.deepEqual(visible({top: 0, height: 600, row: 30, total: 0}), {first: 0, end: 0});
  assert.deepEqual([pagesOf(0, 40, 100), pagesOf(95, 130, 100), pagesOf(0, 0, 100)], [[1], [1, 2], [1]]);
});

test('sorting', () => {
  assert.equal(sortedBy('', 'name', false), 'name');
  assert.equal(sortedBy('name', 'name', false), '-name');
  assert.equal(sortedBy('name', 'ready', true), '-ready');
  assert.equal(sortedBy('-ready', 'ready', true), 'ready');
  assert.deepEqual(sortOf('-ready'), {column: 'ready', isReverse: true});
  const all = [3, 'b', undefined, 1, 'a10', 'a9', ''].sort(compare);
  assert.deepEqual(all.slice(0, 5), [1, 3, 'a9', 'a10', 'b']);
  const of = (row, column) => row[column];
  const rows = [{n: 2}, {n: null}, {n: 10}, {}];
  assert.deepEqual(sorted(rows, '-n', of), [{n: 10}, {n: 2}, {n: null}, {}]);
  assert.deepEqual(sorted(rows, 'n', of), [{n: 2}, {n: 10}, {n: null}, {}]);
});

test('what is no JSON is said, or stands for something else, and nothing is thrown', () => {
  for (const none of ['', '{', 'text', '{"a": 1,}']) {
    assert.match(readJson(none).message, /^This is no JSON: .+\.$/);
    assert.equal(jsonOr(none, 'other'), 'other');
  }
  assert.deepEqual([jsonOr(null, 1), jsonOr(undefined, 2), jsonOr('null', 3), jsonOr('0', 4)], [1, 2, null, 0]);
  assert.deepEqual(readJson('{"a": [1]}'), {a: [1]});
});
