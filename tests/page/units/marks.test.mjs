// What is marked on charts, and how it is folded.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {History} from '../../../broker/page/app/history.js';
import {alarms, changes, folded, Marks, marksOf} from '../../../broker/page/app/marks.js';
import {keyOf} from '../../../broker/page/app/named.js';

const T = 1_700_000_000_000;
const texts = (marks) => marks.map(({text}) => text.slice('10:42:07 '.length));
const queue = (more = {}) => ({vhost: '/', name: 'q', consumers: 1, arguments: {}, paused: {consumers: null, publishers: null}, ...more});

test('what lies close together is one mark, and what lies outside is none', () => {
  const marks = [[50, 'd'], [0, 'before'], [10, 'a'], [12, 'b'], [40, 'c'], [101, 'after']].map(([at, text]) => ({at, text}));
  assert.deepEqual(folded(marks, 5, 100, 950), [{at: 10, text: 'a'}, {at: 12, text: 'b'}, {at: 40, text: 'c'}, {at: 50, text: 'd'}]);
  assert.deepEqual(folded(marks, 5, 100, 95), [{at: 10, text: 'a\nb'}, {at: 40, text: 'c\nd'}]);
  const many = Array.from({length: 9}, (_, n) => ({at: n, text: `${n}`}));
  assert.deepEqual(folded(many, 0, 1000, 100), [{at: 0, text: '0\n1\n2\n3\n4\nand 4 more'}]);
  assert.deepEqual(folded([], 0, 0, 0), []);
});

test('what changed of a queue is told, and what only moves is not', () => {
  const told = (before, now) => changes(queue(before), queue(now));
  assert.deepEqual(told({messages_ready: 1}, {messages_ready: 2}), []);
  assert.deepEqual(told({}, {paused: {consumers: 'upgrade', publishers: ''}}), ['Its consumers are paused: upgrade', 'Its publishers are paused']);
  assert.deepEqual(told({paused: {consumers: '', publishers: null}}, {}), ['Its consumers go on']);
  assert.deepEqual(told({policy: 'a'}, {policy: 'b', effective_policy_definition: {x: 1}}), ['Policy b counts']);
  assert.deepEqual(told({operator_policy: 'a'}, {operator_policy: null}), ['Operator policy a counts no more']);
  assert.deepEqual(told({policy: 'a', effective_policy_definition: {x: 1}}, {policy: 'a', effective_policy_definition: {x: 2}}), ['Its policy was changed']);
  assert.deepEqual(told({}, {arguments: {'x-max-length': 1}}), ['Its arguments were changed']);
  assert.deepEqual(told({}, {consumers: 0}), ['0 consumers, before 1']);
});

test('alarms are told when they begin and when they end', () => {
  const node = (mem_alarm, disk_free_alarm) => ({mem_alarm, disk_free_alarm});
  assert.deepEqual(alarms(node(false, true), node(true, false)), ['Memory alarm: publishers wait', 'Disk alarm is over']);
  assert.deepEqual(alarms(node(true, true), node(true, true)), []);
  assert.deepEqual(alarms({}, node(true, true)), []);
});

test('answers are compared once, by what they are of, and only where they lie close together', () => {
  const marks = new Marks();
  const [one, two] = [{queue: queue()}, {queue: queue({consumers: 2})}];
  marks.look(one, T);
  marks.look(two, T + 5000);
  marks.look(two, T + 6000);
  marks.look({queue: queue({name: 'other', consumers: 9})}, T + 7000);
  assert.deepEqual(texts(marks.of(one)), ['2 consumers, before 1']);
  assert.deepEqual(marks.of({}), []);
  marks.look(one, T + 500_000);
  assert.equal(marks.of(one).length, 1);
});

test('the start of the broker is marked once, and again when it starts again', () => {
  const marks = new Marks();
  const up = (now, uptime) => marks.look({nodes: [{uptime}]}, now);
  up(T, 60_000);
  up(T + 5000, 64_990);
  up(T + 100_000, 2000);
  assert.deepEqual(marks.of({}).map(({at}) => at), [T - 60_000, T + 98_000]);
  assert.equal(marks.of({queue: queue()}).length, 2);
});

test('so many are kept, and they are of who is signed in', () => {
  const ctx = {session: {}};
  for (let n = 0; n < 300; n += 1) marksOf(ctx).note(keyOf(queue()), `${n}`, T + n);
  const all = marksOf(ctx).of({queue: queue()});
  assert.deepEqual([all.length, texts(all).at(-1)], [200, '299']);
  assert.deepEqual(marksOf({session: {}}).of({queue: queue()}), []);
});

test('what happened after the newest value stands at the end, if it is of now', () => {
  const history = new History('10m');
  history.last = T;
  history.marks = [{at: T + 9000, text: 'now'}, {at: T + 60_000, text: 'of a clock that goes before'}];
  const {from, to, marks} = history.span();
  assert.deepEqual(marks(from, to, 500), [{at: T, text: 'now'}]);
});
