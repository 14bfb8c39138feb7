// Layered graphs.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {layout, spread} from '../../../broker/page/pages/route-layout.js';

const SIZES = {width: 100, height: 20, gapX: 50, gapY: 10};

function made(pairs, more = []) {
  const edges = pairs.map(([from, to]) => ({from, to}));
  const ids = [...new Set([...pairs.flat(), ...more])];
  return {nodes: ids.map((id) => ({id})), edges};
}

const of = (pairs, more) => {
  const {nodes, edges} = made(pairs, more);
  return layout(nodes, edges, SIZES);
};

test('what leads somewhere stands left of it', () => {
  const {places, width} = of([['a', 'b'], ['b', 'c'], ['a', 'c']]);
  assert.deepEqual([places.get('a').x, places.get('b').x, places.get('c').x], [0, 150, 300]);
  assert.equal(width, 400);
});

test('a circle is laid out, and one edge of it goes back', () => {
  const {places, paths} = of([['x', 'q'], ['q', 'd'], ['d', 'dead'], ['dead', 'x'], ['x', 'x']]);
  assert.ok(places.get('x').x < places.get('q').x && places.get('q').x < places.get('d').x);
  assert.equal(paths.length, 5);
  assert.match(paths[3], /L/);
  assert.doesNotMatch(paths[0], /L/);
});

test('nodes do not overlap, and little crosses', () => {
  const pairs = Array.from({length: 40}, (_, n) => [`x${n % 8}`, `q${n}`]);
  const {places} = of(pairs);
  const queues = [...places].filter(([id]) => id.startsWith('q')).sort(([, one], [, other]) => one.y - other.y);
  for (const [n, [, place]] of queues.entries()) if (n > 0) assert.ok(place.y - queues[n - 1][1].y >= 29.99);
  const turns = queues.filter(([id], n) => n > 0 && Number(id.slice(1)) % 8 !== Number(queues[n - 1][0].slice(1)) % 8);
  assert.equal(turns.length, 7);
});

test('nothing, and what nothing leads to, have a place', () => {
  assert.deepEqual([of([]).width, of([]).height], [0, 0]);
  assert.deepEqual(of([], ['alone']).places.get('alone'), {x: 0, y: 0, layer: 0});
  assert.deepEqual(layout([{id: 'a'}], [{from: 'a', to: 'gone'}], SIZES).paths, ['']);
});

test('five hundred nodes take little time, and the same place again', () => {
  const pairs = Array.from({length: 900}, (_, n) => [`x${n % 60}`, n % 9 === 0 ? `x${(n * 7) % 60}` : `q${n % 440}`]);
  const started = performance.now();
  const one = of(pairs);
  assert.ok(performance.now() - started < 1000);
  assert.deepEqual(of(pairs).paths, one.paths);
  assert.ok(one.paths.every((path) => path !== '' && !path.includes('NaN')));
});

test('a row is spread as little as it has to be', () => {
  assert.deepEqual(spread([0, 100], 10), [0, 100]);
  assert.deepEqual(spread([50, 50, 50], 10), [40, 50, 60]);
  assert.deepEqual(spread([0, 0, 100], 10), [-5, 5, 100]);
});
