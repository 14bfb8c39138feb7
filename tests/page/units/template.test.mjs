// What a template's literal parts are read as.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {parse} from '../../../broker/page/parts/template.js';

const read = (strings, ...values) => parse(strings, values);
const element = (tag, attributes = [], children = []) => ({kind: 'element', tag, attributes, children});
const text = (value) => ({kind: 'text', text: value});
const hole = (n) => ({kind: 'hole', hole: n});

test('elements, texts and holes stand where they stand', () => {
  assert.deepEqual(read`<p>a ${0} b</p>`, [element('p', [], [text('a '), hole(0), text(' b')])]);
  assert.deepEqual(read`${0}${1}`, [hole(0), hole(1)]);
  assert.deepEqual(read`<br><input type="text"/>x`, [
    element('br'),
    element('input', [{name: 'type', parts: ['text']}]),
    text('x'),
  ]);
});

test('attributes are texts, holes, or both', () => {
  const [node] = read`<a href=${0} class="x ${1} y" hidden @click=${2} .value=${3} id=plain data-a='q'></a>`;
  assert.deepEqual(node.attributes, [
    {name: 'href', parts: [0]},
    {name: 'class', parts: ['x ', 1, ' y']},
    {name: 'hidden', parts: ['']},
    {name: '@click', parts: [2]},
    {name: '.value', parts: [3]},
    {name: 'id', parts: ['plain']},
    {name: 'data-a', parts: ['q']},
  ]);
});

test('blanks around the end of a line go, others stay', () => {
  assert.deepEqual(
    read`<p>
    one
    two ${0}
    <b>x</b> y
  </p>`,
    [element('p', [], [text('one two '), hole(0), element('b', [], [text('x')]), text(' y')])],
  );
});

test('what is no markup is refused with its place', () => {
  const wrong = [
    () => read`<p>`,
    () => read`<p></b>`,
    () => read`<p`,
    () => read`< p>x</p>`,
    () => read`<p style="x"></p>`,
    () => read`<p =x></p>`,
  ];
  for (const reading of wrong) assert.throws(reading, /^SyntaxError: template: /);
});

test('what stands in a hole is never looked at', () => {
  assert.deepEqual(read`<b>${'<script>'}</b>`, [element('b', [], [hole(0)])]);
});
