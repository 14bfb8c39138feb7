// Queues: their state in a word, what is wrong in sentences, and tables that people type.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {inLine, readTable, readValue, writeValue} from '../../../broker/page/pages/arguments.js';
import {findings, standing} from '../../../broker/page/pages/queue-findings.js';

const NOW = 1_796_036_200_000;
// A number and its unit stand in one line.
const plain = (text) => text.replaceAll('\u00a0', ' ');

test('a queue stands as the broker says, with what that means', () => {
  const told = (queue) => standing(queue, NOW);
  assert.deepEqual(['idle', 'running', 'no consumer', 'stuck', 'paused', 'closed', 'new'].map((word) => told({standing: word}).tone),
    ['plain', 'good', 'warn', 'bad', 'note', 'note', 'plain']);
  assert.match(plain(told({standing: 'stuck', oldest_ready_ms: NOW - 61_000}).help), /waits for 1 min 1 s$/);
  assert.equal(told({standing: 'paused', paused: {consumers: 'night', publishers: null}}).help, 'Its consumers wait: night');
  assert.equal(told({standing: 'closed', paused: {consumers: null, publishers: ''}}).help, 'Its publishers wait');
  assert.equal(told({}).word, 'idle');
});

const why = (more) => ({messages_ready: 0, oldest_ready_ms: null, last_delivery_ms: null, not_delivering_because: [], not_taking_because: [], publishers_held: 0, ...more});

test('what is stuck says why, since when, and what helps', () => {
  const [found] = findings(why({messages_ready: 1204, oldest_ready_ms: NOW - 4000, not_delivering_because: [{reason: 'no_consumers', text: 'nobody consumes from it'}]}), NOW);
  assert.equal(found.tone, 'bad');
  assert.equal(plain(found.text), 'Nobody consumes from it. 1,204 messages wait, the oldest for 4 s. Start the application that consumes from it.');
});

test('what hurts nobody is no alarm', () => {
  const [found] = findings(why({not_delivering_because: [{reason: 'no_consumers', text: 'nobody consumes from it'}]}), NOW);
  assert.deepEqual([found.tone, found.text], ['note', 'Nobody consumes from it.']);
  assert.equal(plain(findings(why({last_delivery_ms: NOW - 2000}), NOW)[0].text), 'Whatever comes goes to a consumer that has room. The last message went out 2 s ago.');
});

test('the worst stands first, and words that are not known are told all the same', () => {
  const found = findings(why({
    messages_ready: 3,
    not_delivering_because: [{reason: 'consumers_paused', text: 'its consumers are paused'}, {reason: 'moon', text: 'the moon is full'}],
    not_taking_because: [{reason: 'full', text: 'it is full'}],
    publishers_held: 2,
  }), NOW);
  assert.deepEqual(found.map(({tone}) => tone), ['bad', 'warn', 'warn', 'note']);
  assert.match(found[1].text, /^The moon is full\. 3 messages wait\./);
});

test('a table is read from lines or JSON, and comes back', () => {
  assert.deepEqual(readTable(''), {});
  assert.deepEqual(readTable('x-max-length = 10\n x-overflow=drop-head \n\nkey = a = b'), {'x-max-length': 10, 'x-overflow': 'drop-head', key: 'a = b'});
  assert.deepEqual(readTable('{"a": [1, {"b": null}]}'), {a: [1, {b: null}]});
  assert.ok(readTable('nothing') instanceof Error);
  assert.ok(readTable('{"a"') instanceof Error);
  for (const value of [10, true, null, 'text', '10', ' a ', '', '"', {a: [1]}]) assert.deepEqual(readValue(writeValue(value)), value);
  assert.equal(inLine({a: 1, b: 'c'}), 'a = 1, b = c');
});
