// Views that somebody keeps.
import assert from 'node:assert/strict';
import {test} from 'node:test';

globalThis.localStorage ??= {getItem: () => null, setItem: () => {}, removeItem: () => {}};
const {kept, read} = await import('../../../broker/page/app/views.js');

test('what is kept is read, and what is no view is passed over', () => {
  assert.deepEqual(read(null), []);
  assert.deepEqual(read('{'), []);
  assert.deepEqual(read('{"a": 1}'), []);
  assert.deepEqual(read('[{"name": "a", "query": "sort=name", "more": 1}, {"name": 1}, null]'), [{name: 'a', query: 'sort=name'}]);
});

test('a view takes the place of another with its name, and there is an end', () => {
  const one = {name: 'a', query: '1'};
  assert.deepEqual(kept([one], {name: 'a', query: '2'}), [{name: 'a', query: '2'}]);
  const many = Array.from({length: 40}, (_, n) => ({name: `${n}`, query: ''}));
  assert.equal(kept(many, one).length, 30);
  assert.deepEqual(kept(many, one).at(-1), one);
});
