// Which lines of the log are shown.
import assert from 'node:assert/strict';
import {test} from 'node:test';

globalThis.HTMLElement ??= class {};
globalThis.location ??= {pathname: '/ui/log'};

const {isOf, loggedNow} = await import('../../../broker/page/pages/log.js');

test('lines are shown from a level on, and of one category', () => {
  const line = (level, category = 'queue') => ({level, domain: `rabbitmq.${category}`});
  const shown = (level, category = '') => ['debug', 'info', 'notice', 'warning', 'error', 'critical'].filter((one) => isOf(line(one), level, category));
  assert.equal(shown('debug').length, 6);
  assert.deepEqual(shown('warning'), ['warning', 'error', 'critical']);
  assert.deepEqual(shown('error', 'queue'), ['error', 'critical']);
  assert.deepEqual(shown('debug', 'connection'), []);
  // A level that is not known is not hidden.
  assert.ok(isOf({level: 'alert'}, 'error', ''));
});

test('what is logged now is told in words', () => {
  const outputs = [{to: '<stdout>', level: 'info'}, {to: '/var/log/l.log', level: 'debug'}];
  assert.equal(loggedNow({outputs, categories: {user: 'none'}}), 'Now: info to <stdout>, debug to /var/log/l.log, none of user.');
  assert.equal(loggedNow({outputs: [], categories: {}}), 'Now: nothing.');
});
