// Addresses.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {ofRabbit} from '../../../broker/page/app/moved.js';
import {build, changedQuery, match} from '../../../broker/page/parts/route.js';

test('a pattern fits its paths alone', () => {
  assert.deepEqual(match('/queues', '/queues'), {});
  assert.deepEqual(match('/queues/:vhost/:name', '/queues/%2F/a%20b'), {vhost: '/', name: 'a b'});
  for (const other of ['/', '/queue', '/queues/%2F', '/queues/%2F/a/b']) {
    assert.equal(match('/queues/:vhost/:name', other), null, other);
  }
});

test('any name goes into a path and comes back', () => {
  const names = ['/', '', 'a/b', '?x=1#y', '%', '%2F', 'שלום', '🐇', '<b>&amp;"\'', '..', 'x'.repeat(255)];
  for (const name of names.filter((one) => one !== '')) {
    const path = build('/queues/:vhost/:name', {vhost: '/', name});
    assert.deepEqual(match('/queues/:vhost/:name', path), {vhost: '/', name}, name);
  }
  assert.equal(build('/users/:name', {name: 'a\ud800b'}), '/users/a%EF%BF%BDb');
  assert.deepEqual(match('/users/:name', '/users/%zz'), {name: '%zz'});
});

test('the same state is the same address', () => {
  assert.equal(changedQuery('', {b: 1, a: 'x y'}), '?a=x+y&b=1');
  assert.equal(changedQuery('?a=1&b=2', {a: null, b: ''}), '');
  assert.equal(changedQuery('?z=1', {a: false, b: true}), '?b=true&z=1');
});

test("addresses of RabbitMQ's page lead to ours", () => {
  assert.equal(ofRabbit('#/queues/%2F/q'), '/queues/%2F/q');
  assert.equal(ofRabbit('#/connections?x=1'), '/connections');
  assert.equal(ofRabbit('#/feature-flags'), '/overview');
  assert.equal(ofRabbit('#content'), null);
  assert.equal(ofRabbit(''), null);
});
