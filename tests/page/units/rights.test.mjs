// What a session may do to which thing, by table.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {allows} from '../../../broker/page/app/permission-rules.js';
import {may} from '../../../broker/page/app/rights.js';

const NO_NAME = '[^\\s\\S]';

function who(tags, rights = {}, more = {}) {
  const told = Object.entries(rights).map(([vhost, [configure, write, read, topics = []]]) => [vhost, {vhost, configure, write, read, topics}]);
  return {name: 'me', tags, isReadOnly: false, rights: new Map(told), ...more};
}

const ALL = ['.*', '.*', '.*'];
const ORDERS = ['^orders\\.', '^orders\\.', '^orders\\.'];
const READS = ['', '', '.*'];
const people = {
  administrator: who(['administrator'], {'/': ALL}),
  'administrator without permissions': who(['administrator']),
  monitoring: who(['monitoring']),
  management: who(['management'], {'/': ALL}),
  policymaker: who(['policymaker'], {'/': READS}),
  orders: who(['management'], {'/': ORDERS}),
  reads: who(['management'], {'/': READS}),
  nothing: who(['management'], {'/': [NO_NAME, NO_NAME, NO_NAME]}),
  unknown: who(['management'], {'/': [null, null, null]}),
  'read only': who(['administrator'], {'/': ALL}, {isReadOnly: true}),
};
const EVERYBODY = Object.keys(people);

const own = {vhost: '/', name: 'orders.eu'};
const other = {vhost: '/', name: 'bills'};
const exclusive = {...own, exclusive: true};
const elsewhere = {vhost: 'other', name: 'orders.eu'};
const rules = (name) => ({vhost: '/', name});
const binding = (source, destination, key = '') => ({vhost: '/', binding: {source, destination, destination_type: 'queue', routing_key: key}});

// Who may, of all of them: everybody else may not.
const FULL = ['administrator', 'management', 'unknown'];
const TABLE = [
  ['enter', {vhost: '/'}, EVERYBODY.filter((one) => one !== 'monitoring')],
  ['enter', elsewhere, ['administrator', 'administrator without permissions', 'read only']],
  ['see vhost', elsewhere, ['administrator', 'administrator without permissions', 'read only', 'monitoring']],
  ['see of', {user: 'me'}, EVERYBODY],
  ['see of', {user: 'you'}, ['administrator', 'administrator without permissions', 'read only', 'monitoring']],
  ['browse queue', own, [...FULL, 'policymaker', 'orders', 'reads', 'read only']],
  ['browse queue', other, [...FULL, 'policymaker', 'reads', 'read only']],
  ['browse queue', exclusive, []],
  ['browse queue', elsewhere, []],
  ['purge queue', own, [...FULL, 'policymaker', 'orders', 'reads']],
  ['purge queue', exclusive, []],
  ['delete messages', other, [...FULL, 'policymaker', 'reads']],
  ['delete queue', own, [...FULL, 'orders']],
  ['delete queue', other, FULL],
  ['delete queue', exclusive, []],
  ['delete queue', rules('amq.gen-x'), FULL],
  ['pause queue', own, [...FULL, 'orders']],
  ['amend queue', other, FULL],
  ['browse exchange', own, [...FULL, 'policymaker', 'orders', 'reads', 'read only']],
  ['browse exchange', rules('amq.default'), [...FULL, 'policymaker', 'reads', 'read only']],
  ['delete delayed', own, [...FULL, 'orders']],
  ['delete delayed', rules(''), FULL],
  ['delete delayed', rules('amq.topic'), FULL],
  ['declare queue', {vhost: '/'}, [...FULL, 'orders']],
  ['declare queue', {vhost: 'other'}, []],
  ['declare queue', own, [...FULL, 'orders']],
  ['declare queue', rules('amq.own'), []],
  ['move messages', own, [...FULL, 'orders']],
  ['redrive messages', own, FULL],
  ['fill queue', own, FULL],
  ['bind queue', own, [...FULL, 'orders']],
  ['bind queue', other, FULL],
  ['bind queue', exclusive, []],
  ['declare exchange', {vhost: '/'}, [...FULL, 'orders']],
  ['declare exchange', rules('amq.topic'), []],
  ['delete exchange', own, [...FULL, 'orders']],
  ['delete exchange', rules(''), []],
  ['delete exchange', rules('amq.default'), []],
  ['delete exchange', rules('amq.direct'), []],
  ['publish to exchange', own, [...FULL, 'orders']],
  ['publish to exchange', {...own, internal: true}, []],
  ['publish to exchange', rules(''), FULL],
  ['publish to exchange', rules('amq.default'), FULL],
  ['bind exchange', rules('amq.topic'), FULL],
  ['bind exchange', rules('amq.default'), []],
  ['bind from exchange', own, [...FULL, 'orders']],
  ['bind from exchange', rules(''), []],
  ['unbind', binding('orders.all', 'orders.eu'), [...FULL, 'orders']],
  ['unbind', binding('amq.topic', 'orders.eu'), FULL],
  ['unbind', {...binding('orders.all', 'orders.eu'), exclusive: true}, []],
  ['unbind', binding('', 'orders.eu'), []],
  ['end of', {user: 'me'}, EVERYBODY.filter((one) => one !== 'read only')],
  ['end of', {user: 'you'}, ['administrator', 'administrator without permissions']],
  ['make policies', {}, ['administrator', 'administrator without permissions', 'policymaker']],
  ['make policies', {vhost: '/'}, ['administrator', 'administrator without permissions', 'policymaker']],
  ['make policies', {vhost: 'other'}, ['administrator', 'administrator without permissions']],
  ['make operator policies', {vhost: '/'}, ['administrator', 'administrator without permissions']],
  ['administrate', {}, ['administrator', 'administrator without permissions']],
  ['delete vhost', {isProtected: false}, ['administrator', 'administrator without permissions']],
  ['delete vhost', {isProtected: true}, []],
];

for (const [act, thing, allowed] of TABLE) {
  test(`${act} ${JSON.stringify(thing)}`, () => {
    const found = EVERYBODY.filter((name) => may(people[name], act, thing));
    assert.deepEqual(found.sort(), [...allowed].sort());
  });
}

test('keys of topic exchanges count where they are restricted', () => {
  const me = who(['management'], {'/': ['', '.*', '.*', [{exchange: 'amq.topic', write: '', read: '^eu\\.'}]]});
  assert.ok(may(me, 'unbind', binding('amq.topic', 'q', 'eu.new')));
  assert.ok(!may(me, 'unbind', binding('amq.topic', 'q', 'us.new')));
  assert.ok(may(me, 'unbind', binding('other', 'q', 'us.new')));
});

test('what nobody knows is no act', () => {
  assert.throws(() => may(people.management, 'fly', {}), /fly/);
});

test('expressions are read as the broker reads them', () => {
  for (const [pattern, name, is] of [
    ['', '', true],
    ['', 'a', false],
    ['.*', '🐇', true],
    ['^a', 'ba', false],
    ['a', 'ba', true],
    ['(?i)^A', 'ab', true],
    ['\\Aa\\z', 'a', true],
    ['\\Aa\\z', 'ab', false],
    ['^(?P<n>a)$', 'a', true],
    ['\\\\A', '\\A', true],
    ['(', 'a', null],
    [NO_NAME, '', false],
  ]) {
    assert.equal(allows(pattern, name), is, `${pattern} of ${name}`);
  }
});
