// The library of the page is small, and knows nothing of what it is used for.
import assert from 'node:assert/strict';
import {readFileSync, readdirSync} from 'node:fs';
import {test} from 'node:test';

const PARTS = new URL('../../../broker/page/parts/', import.meta.url);
const LINES_MAX = 1500;

const files = readdirSync(PARTS).map((name) => ({name, text: readFileSync(new URL(name, PARTS), 'utf8')}));

test('the library has few lines', () => {
  const lines = files.reduce((sum, {text}) => sum + text.trimEnd().split('\n').length, 0);
  assert.ok(lines < LINES_MAX, `${lines} lines`);
});

test('the library imports nothing but itself', () => {
  for (const {name, text} of files) {
    for (const [, from] of text.matchAll(/\b(?:from|import)\s*\(?'([^']+)'/g)) assert.match(from, /^\.\/[a-z]+\.js$/, name);
  }
});
