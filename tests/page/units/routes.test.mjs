// Where messages go, as a graph.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {bounded, scrolled} from '../../../broker/page/pages/graph-zoom.js';
import {folded} from '../../../broker/page/pages/route-folding.js';
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

test('queues alike are one where there are many, until they are opened', () => {
  const node = (kind, name, more = {}) => ({id: `${kind[0]} ${name}`, kind, name, about: '', ...more});
  const queues = Array.from({length: 70}, (_, n) => node('queue', `jobs.${String(n).padStart(2, '0')}`));
  const own = [node('queue', 'jobs.a'), node('queue', 'jobs.b'), node('queue', 'alone')];
  const exchanges = ['in', 'other', 'dead'].map((name) => node('exchange', name));
  const edge = (from, to, kind, label, isLit = false) => ({from: `e ${from}`, to: `q ${to}`, kind, label, isLit});
  const edges = [
    ...queues.map(({name}, n) => edge('in', name, 'binding', `key ${n}`)),
    ...queues.slice(0, 30).map(({name}) => ({from: `q ${name}`, to: 'e dead', kind: 'dead', label: '', isLit: false})),
    edge('other', 'jobs.a', 'binding', 'x'), edge('other', 'jobs.b', 'binding', 'x'), edge('in', 'alone', 'binding', '', true),
  ];
  const all = {nodes: [...exchanges, ...queues, ...own], edges};
  const {nodes, edges: ways} = folded(all, '');
  // Two are fewer than what is worth it, and what is lit is not hidden.
  assert.deepEqual(nodes.map(({name}) => name), ['in', 'other', 'dead', '30 queues', '40 queues', 'jobs.a', 'jobs.b', 'alone']);
  const [, , , first, second] = nodes;
  assert.deepEqual([first.about, first.members.length, first.members[0], second.members[0]], ['jobs.…', 30, 'jobs.00', 'jobs.30']);
  assert.deepEqual(ways.map(({from, to, kind}) => `${from} ${kind} ${to}`), [
    'e in binding g jobs.00', 'e in binding g jobs.30', 'g jobs.00 dead e dead', 'e other binding q jobs.a', 'e other binding q jobs.b', 'e in binding q alone',
  ]);
  assert.equal(ways[0].label, 'key 0, key 1 +28');
  assert.equal(folded(all, 'jobs.00').nodes.length, 3 + 30 + 1 + 3);
  const few = {nodes: all.nodes.slice(0, 60), edges};
  assert.equal(folded(few, ''), few);
});
