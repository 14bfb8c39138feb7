// What a policy that is typed would do to the others, and which of those that are there collide.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';

import {collisions, effectsOf, isFor, precedence, suspects, told} from '../../../broker/page/pages/policy-rules.js';

const policy = (name, priority, more = {}) => ({name, vhost: '/', pattern: '', 'apply-to': 'queues', priority, definition: {'max-length': 1}, ...more});
const queue = (name, now = null, type = 'classic') => ({kind: 'queues', name, type, policy: now});
const exchange = (name, now = null) => ({kind: 'exchanges', name, policy: now});
const briefly = ({outcome, rival, count, example}) => `${outcome} ${rival} ${count} ${example}`;

test('a policy is for what apply-to names, and for no type that cannot have what it sets', () => {
  const of = (applyTo, definition = {}) => ({'apply-to': applyTo, definition});
  const things = [queue('q'), queue('q', null, 'quorum'), queue('q', null, 'stream'), exchange('x'), exchange('')];
  for (const [draft, expected] of [
    [of('all'), [true, true, true, true, false]],
    [of('queues'), [true, true, true, false, false]],
    [of('classic_queues'), [true, false, false, false, false]],
    [of('quorum_queues'), [false, true, false, false, false]],
    [of('streams'), [false, false, true, false, false]],
    [of('exchanges'), [false, false, false, true, false]],
    [of('all', {'message-ttl': 1}), [true, true, false, true, false]],
    [of('queues', {'max-age': '1D'}), [false, false, true, false, false]],
    [of('nothing'), [false, false, false, false, false]],
  ]) {
    assert.deepEqual(things.map((thing) => isFor(draft, thing)), expected, JSON.stringify(draft));
  }
});

test('which settings keep a policy from a type is what the broker has', () => {
  const source = readFileSync(new URL('../../../broker/src/policy/keys.rs', import.meta.url), 'utf8');
  const keys = [...source.matchAll(/^ {4}(?:queues|exchanges|nothing)\("([\w-]+)"/gm)].map(([, key]) => key);
  assert.ok(keys.length > 20);
  for (const type of ['classic', 'quorum', 'stream']) {
    const [, list] = new RegExp(`NOT_ON_${type === 'stream' ? 'STREAMS' : type.toUpperCase()}: &\\[&str\\] =\\s*&\\[([^\\]]*)\\]`).exec(source);
    const expected = [...list.matchAll(/"([\w-]+)"/g)].map(([, key]) => key).sort();
    const found = keys.filter((key) => !isFor({'apply-to': 'queues', definition: {[key]: 1}}, queue('q', null, type))).sort();
    assert.deepEqual(found, expected, type);
  }
});

test('the highest priority counts, and of equal ones the first name, octet by octet', () => {
  const order = [policy('b', 0), policy('a', 0), policy('a', 1), policy('B', 0), policy('ab', 0), policy('\u{ffff}', 0), policy('\u{10000}', 0), policy('c', -0.5)];
  assert.deepEqual(order.sort(precedence).map(({name, priority}) => `${name}${priority}`), ['a1', 'B0', 'a0', 'ab0', 'b0', '\u{ffff}0', '\u{10000}0', 'c-0.5']);
});

test('what a new policy does is counted by the policy that counts now', () => {
  const there = [policy('slow', 1), policy('fast', 10), policy('a', 5), policy('z', 5), policy('elsewhere', 9, {vhost: 'other'})];
  const things = [queue('q1', 'slow'), queue('q2', 'slow'), queue('q3', 'fast'), queue('q4', 'a'), queue('q5', 'z'), queue('q6'), queue('q7', 'slow', 'quorum')];
  const {effects, matched, free} = effectsOf(policy('mine', 5, {'apply-to': 'classic_queues'}), things, there);
  assert.deepEqual([matched.length, free], [6, 1]);
  assert.deepEqual(effects.map(briefly), ['loses a 1 q4', 'wins z 1 q5', 'yields fast 1 q3', 'replaces slow 2 q1']);
});

test('where a policy is changed that counts now, the next one is looked for', () => {
  const there = [policy('mine', 10), policy('next', 3, {pattern: '^q1'}), policy('last', 1), policy('streams', 9, {'apply-to': 'streams'}), policy('unreadable', 9, {pattern: '('})];
  const {effects} = effectsOf(policy('mine', 2), [queue('q1', 'mine'), queue('q2', 'mine'), queue('Q1', 'mine')], there);
  assert.deepEqual(effects.map(briefly), ['yields next 1 q1', 'replaces last 2 q2']);
  // Of exchanges it is not told which operator policy counts.
  const untold = effectsOf(policy('new', 0, {'apply-to': 'all'}), [{kind: 'exchanges', name: 'x', policy: undefined}], [policy('old', 0, {'apply-to': 'all'})]);
  assert.deepEqual(untold.effects.map(briefly), ['wins old 1 x']);
});

test('effects in words', () => {
  const said = (outcome, name = 'mine') => told({outcome, rival: 'other', priority: 3, count: 1, example: 'q'}, {name});
  assert.deepEqual(said('replaces'), {word: 'Takes the place of', tone: 'note', why: 'its priority is lower, 3'});
  assert.deepEqual(said('yields'), {word: 'Has no effect beside', tone: 'warn', why: 'its priority is higher, 3'});
  assert.match(said('wins').why, /^both have the priority 3; then the name that comes first counts, which is mine/);
  assert.match(said('loses').why, /the name that comes first counts, which is other/);
  assert.match(said('wins', '').why, /the name that comes first counts$/);
});

test('policies collide where the name alone decides', () => {
  const [a, b, c, high] = [policy('a', 0), policy('b', 0), policy('c', 0, {'apply-to': 'exchanges'}), policy('high', 7)];
  const other = policy('b', 0, {vhost: 'other'});
  const all = [a, b, c, high, other];
  assert.deepEqual(suspects(all), [a, b]);
  assert.deepEqual(suspects([policy('one', 1, {'apply-to': 'classic_queues'}), policy('two', 1, {'apply-to': 'quorum_queues'})]), []);
  assert.equal(suspects([policy('one', 1, {'apply-to': 'all'}), policy('two', 1, {'apply-to': 'streams'})]).length, 2);
  const found = collisions([{policy: a, things: [queue('q1', 'a')]}, {policy: b, things: [queue('q1', 'a'), queue('q2', 'b'), queue('q3', 'high')]}], all);
  assert.deepEqual([...found], [
    ['/\nb', [{with: 'a', example: 'q1', count: 1, isCounting: false}]],
    ['/\na', [{with: 'b', example: 'q1', count: 1, isCounting: true}]],
  ]);
});
