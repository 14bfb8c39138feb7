// Where messages go, as a graph.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {bounded, scrolled} from '../../../broker/page/pages/graph-zoom.js';
import {around, routesOf, way} from '../../../broker/page/pages/routes.js';

const binding = (source, destination, routing_key = '', destination_type = 'queue') => ({source, destination, routing_key, destination_type});

const THERE = {
  exchanges: [
    {name: 'x', type: 'topic', arguments: {'alternate-exchange': 'rest'}},
    {name: 'y', type: 'fanout', arguments: {}, policy: 'p'},
    {name: 'rest', type: 'fanout', arguments: {}},
  ],
  queues: [
    {name: 'q', arguments: {'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead'}},
    {name: 'r', arguments: {}, effective_policy_definition: {'dead-letter-exchange': 'y'}},
    {name: 'alone', arguments: {}},
  ],
  bindings: [binding('x', 'q', 'a.*'), binding('x', 'q', 'b.#'), binding('x', 'q', 'c'), binding('x', 'y', '#', 'exchange'), binding('', 'q', 'q')],
  policies: [{name: 'p', definition: {'alternate-exchange': 'rest'}}],
};

test('bindings, alternates and dead letters are edges, each way once', () => {
  const {nodes, edges} = routesOf(THERE);
  assert.deepEqual(edges.map(({from, to, kind, label}) => [from, to, kind, label]), [
    ['e x', 'q q', 'binding', 'a.*, b.# +1'],
    ['e x', 'e y', 'binding', '#'],
    ['e x', 'e rest', 'alternate', ''],
    ['e y', 'e rest', 'alternate', ''],
    ['q q', 'q dead', 'dead', ''],
    ['q r', 'e y', 'dead', ''],
  ]);
  assert.ok(!nodes.some(({name}) => name === 'alone' || name === ''));
  assert.equal(nodes.find(({id}) => id === 'e x').about, 'topic');
});

test('a part is what leads to a name, and what comes from it', () => {
  const names = (text) => around(routesOf(THERE), text).nodes.map(({id}) => id).sort();
  assert.deepEqual(names('DEAD'), ['e x', 'q dead', 'q q']);
  assert.deepEqual(names('nothing'), []);
  assert.equal(names('').length, 6);
});

test('the way of a message is lit, and the ways it did not take are not', () => {
  const plan = {hops: [
    {exchange: 'x', type: 'topic', via: 'publish', bindings: [binding('x', 'y', '#', 'exchange')], queues: []},
    {exchange: 'y', type: 'fanout', via: 'binding', from: 'x', bindings: [], queues: []},
    {exchange: 'rest', type: 'fanout', via: 'alternate', from: 'y', bindings: [binding('rest', 'q')], queues: ['q']},
  ]};
  const {edges} = way(plan, [binding('x', 'q', 'a'), binding('x', 'y', '#', 'exchange')]);
  const lit = edges.filter(({isLit}) => isLit).map(({from, to}) => `${from}>${to}`);
  assert.deepEqual(lit, ['e x>e y', 'e y>e rest', 'e rest>q q']);
  assert.deepEqual(edges.filter(({isLit}) => !isLit).map(({to}) => to), ['q q']);
});

test('what is under the pointer stays there when it comes closer', () => {
  // A place at 300 of the drawing, seen at 100 of the box: at double size it is at 600, and still seen at 100.
  assert.equal(scrolled(200, 100, 2), 500);
  assert.equal(scrolled(500, 100, 0.5), 200);
  assert.equal(scrolled(0, 100, 0.5), 0);
  assert.deepEqual([bounded(0.01), bounded(1), bounded(100)], [0.2, 1, 4]);
});
