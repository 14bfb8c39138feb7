// What needs attention.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Dying} from '../../../broker/page/pages/overview-deaths.js';
import {findings} from '../../../broker/page/pages/overview-findings.js';

const NOW = 1e12;
const node = (changes = {}) => ({
  mem_used: 1e8,
  mem_limit: 1e9,
  mem_alarm: false,
  disk_free: 1e10,
  disk_free_limit: 5e7,
  disk_free_alarm: false,
  fd_used: 10,
  fd_total: 1000,
  db_dir: 'd',
  ...changes,
});
const queue = (changes = {}) => ({
  name: 'q',
  vhost: '/',
  messages_ready: 0,
  messages_unacknowledged: 0,
  consumers: 1,
  oldest_ready_ms: null,
  oldest_unacknowledged_ms: null,
  paused: {consumers: null, publishers: null},
  ...changes,
});
const seen = (changes = {}) => ({
  overview: {},
  node: node(),
  waiting: [queue()],
  unacked: [queue()],
  held: [],
  ...changes,
});
const ids = (changes) => findings(seen(changes), NOW).map(({id}) => id);

test('where nothing is wrong nothing is said', () => {
  assert.deepEqual(ids({}), []);
  assert.deepEqual(ids({node: undefined, held: [{name: 'c', held_by: 'none'}]}), []);
});

test('alarms come first', () => {
  const waiting = [queue({messages_ready: 5, consumers: 0, oldest_ready_ms: NOW - 120_000})];
  assert.deepEqual(ids({waiting, node: node({disk_free_alarm: true, mem_alarm: true})}), ['memory', 'disk', 'untaken']);
  assert.deepEqual(ids({node: node({mem_used: 9e8, disk_free: 6e7, fd_used: 900})}), ['memory', 'disk', 'descriptors']);
});

test('certificates are named before they end', () => {
  const day = 24 * 3_600_000;
  const of = (/** @type {number[]} */ ...ends) => {
    const certificates = ends.map((end) => ({about: 'CN=broker', names: '', expires_ms: NOW + end * day}));
    return findings(seen({overview: {certificates}}), NOW).map(({id, tone}) => `${id} ${tone}`);
  };
  assert.deepEqual(of(400, 31), []);
  assert.deepEqual(of(29), ['certificate 0 warn']);
  assert.deepEqual(of(-1, 6, 20), ['certificate 0 bad', 'certificate 1 bad', 'certificate 2 warn']);
  const [one] = findings(seen({overview: {certificates: [{about: '', names: 'localhost', expires_ms: NOW - 2 * day}]}}), NOW);
  assert.match(one.text, /^The TLS certificate for localhost ended 2\u00a0d ago, on \d{4}-\d\d-\d\d: clients refuse it\./);
});

test('messages that die are counted by what they died of', () => {
  const of = (/** @type {object} */ deadLettered, /** @type {object} */ dropped = {}) =>
    findings(seen({deaths: {overMs: 60_000, deadLettered, dropped}}), NOW).map(({tone, text}) => `${tone}: ${text}`);
  assert.deepEqual(of({expired: 0, rejected: 0}), []);
  assert.deepEqual(of({expired: 1}), ['note: 1 message became a dead letter in the last 1\u00a0min: 1 expired.']);
  assert.deepEqual(of({expired: 2, rejected: 1200}, {maxlen: 3}), [
    'warn: 1,202 messages became dead letters in the last 1\u00a0min: 2 expired, 1,200 rejected.',
    'warn: 3 messages were dropped by queues without a dead-letter exchange in the last 1\u00a0min: 3 of full queues.',
  ]);
});

test('deaths of the last minute are told, and of no other broker', () => {
  const told = (/** @type {number} */ rejected) => ({dead_lettered: {rejected}, dropped: {expired: 7}});
  const dying = new Dying();
  assert.equal(dying.since(undefined, 0), null);
  const first = told(5);
  assert.equal(dying.since(first, 0), null);
  assert.equal(dying.since(first, 100), null, 'drawn once more');
  assert.deepEqual(dying.since(told(6), 5000), {overMs: 5000, deadLettered: {rejected: 1}, dropped: {expired: 0}});
  for (let at = 10_000; at <= 300_000; at += 5000) dying.since(told(6 + at / 5000), at);
  const late = dying.since(told(67), 305_000);
  assert.equal(late?.overMs, 60_000);
  assert.equal(late?.deadLettered.rejected, 12);
  assert.ok(dying.past.length < 20);
  assert.equal(dying.since(told(0), 310_000), null, 'a broker that was started again');
});

test('queues that need somebody', () => {
  const old = NOW - 3_600_000;
  assert.deepEqual(ids({waiting: [queue({messages_ready: 5, consumers: 2, oldest_ready_ms: old})]}), ['late']);
  assert.deepEqual(ids({waiting: [queue({messages_ready: 5, consumers: 0, oldest_ready_ms: NOW - 500})]}), []);
  const stuck = {messages_ready: 5, consumers: 2, oldest_ready_ms: old, standing: 'stuck'};
  assert.deepEqual(ids({waiting: [queue(stuck), queue({...stuck, name: 'late', standing: 'running'})]}), ['stuck', 'late']);
  assert.deepEqual(ids({waiting: [queue({paused: {consumers: {reason: 'x'}, publishers: null}})]}), ['paused']);
  assert.deepEqual(ids({unacked: [queue({messages_unacknowledged: 1, oldest_unacknowledged_ms: old})]}), ['unacked']);
  const [one] = findings(
    seen({waiting: [queue({name: 'a/b', messages_ready: 5, consumers: 0, oldest_ready_ms: old})]}),
    NOW,
  );
  assert.deepEqual(one.at, {pattern: '/queues/:vhost/:name', params: {vhost: '/', name: 'a/b'}});
  const many = Array.from({length: 9}, (_, n) =>
    queue({name: `q${n}`, messages_ready: 1, consumers: 0, oldest_ready_ms: old}),
  );
  assert.match(findings(seen({waiting: many}), NOW)[0].text, /q0, q1, q2 and 6 more/);
});

test('clients that are held back, and messages that go astray', () => {
  const [held] = findings(
    seen({
      held: [
        {name: 'c', user_provided_name: 'app', held_by: 'memory'},
        {name: 'd', held_by: 'none'},
      ],
    }),
    NOW,
  );
  assert.match(held.text, /A connection is held back, by memory: app/);
  assert.deepEqual(held.at, {pattern: '/connections', query: {sort: '-held_by'}});
  const stats = (values) => ({
    message_stats: Object.fromEntries(Object.entries(values).map(([name, of]) => [`${name}_details`, {rate: of}])),
  });
  assert.deepEqual(ids({overview: stats({drop_unroutable: 1})}), ['dropped']);
  assert.deepEqual(ids({overview: stats({redeliver: 50, deliver_get: 100})}), ['redelivered']);
  assert.deepEqual(ids({overview: {disable_stats: true, churn_rates: {connection_created_details: {rate: 20}}}}), [
    'churn',
    'statistics',
  ]);
});

test('where as many are of a kind as were looked at, there may be more', () => {
  const many = (number) => Array.from({length: number}, (_, n) => queue({name: `q${n}`, messages_ready: 2, consumers: 0, oldest_ready_ms: NOW - 120_000}));
  const text = (number) => findings(seen({waiting: many(number)}), NOW)[0].text;
  assert.match(text(19), /^38 messages wait in q0, q1, q2 and 16 more without/);
  assert.match(text(20), /^At least 40 messages wait in q0, q1, q2 and at least 17 more without/);
});
