// Messages as they are shown, filtered, and copied.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {deflateSync, gzipSync} from 'node:zlib';

import {
  anyText, best, COPIES, filterOf, filterQuery, hex, json, octets, reported, text, unreadable,
} from '../../../broker/page/pages/message-views.js';
import {protobuf} from '../../../broker/page/pages/protobuf.js';
import {packing, unpacked} from '../../../broker/page/pages/unpacking.js';

const plain = (payload) => ({payload, payload_encoding: 'string'});
const binary = {payload: Buffer.from([0, 255, 60, 98, 62]).toString('base64'), payload_encoding: 'base64'};

test('a body is shown by what it is', () => {
  assert.equal(best('{"a": [1]}'), 'json');
  assert.equal(json('{"a":1}'), '{\n  "a": 1\n}');
  for (const other of ['12', '"text"', 'null', '{', '<b>']) assert.equal(best(other), 'text', other);
  assert.equal(best(text(octets(binary), true)), 'hex');
  assert.equal(json(null), null);
  assert.deepEqual([...octets(binary)], [0, 255, 60, 98, 62]);
  assert.deepEqual([...octets(plain('ø'))], [0xc3, 0xb8]);
  assert.match(anyText(octets(binary)), /<b>$/);
});

test('octets stand sixteen in a line, and what is no letter is a dot', () => {
  const lines = hex(Uint8Array.from({length: 18}, (_, n) => 60 + n)).split('\n');
  assert.equal(lines[0], '00000000  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  |<=>?@ABCDEFGHIJK|');
  assert.equal(lines[1].indexOf('|'), lines[0].indexOf('|'));
  assert.match(hex(octets(binary)), /\|\.\.<b>\|$/);
});

test('a filter has what is typed, and what is half typed is not taken for less', () => {
  const of = (query) => filterOf(new URLSearchParams(query));
  assert.deepEqual(of(''), {});
  assert.deepEqual(of('key=^a\\.&text=b&header=tenant%3Dno%3Drth'), {
    routing_key_regex: '^a\\.', text: 'b', headers: {tenant: 'no=rth'},
  });
  assert.deepEqual(of('key=('), {routing_key_regex: '('});
  const wrong = (query) => unreadable(new URLSearchParams(query));
  assert.deepEqual(['', 'key=^a', 'key=(?i)^a', 'header=a%3Db', 'header= ', 'text=('].map(wrong), [null, null, null, null, null, null]);
  assert.match(wrong('key=('), /no regular expression/);
  for (const header of ['tenant', '%3Dnorth']) assert.match(wrong(`header=${header}`), /a name, =, and a value/);
  assert.deepEqual(filterQuery(new URLSearchParams('header=a b%3Dc')), {'header.a b': 'c'});
});

test('an operation is told with what stayed', () => {
  const report = {matched: 1204, done: 1200, without_route: 3, refused: 1, unreadable: 0, complete: false};
  assert.equal(
    reported(report, 'moved'),
    '1,200 of 1,204 messages are moved. 3 would have gone nowhere and stay. 1 were refused where they were to go, ' +
      'and stay. Time was up before all were looked at: do it again for the rest.',
  );
});

test('a message is copied as code, whatever is in it', () => {
  const message = {
    ...plain('it\'s "quoted"\n'), vhost: '/', exchange: '', routing_key: 'a"b',
    properties: {delivery_mode: 2, headers: {yes: true, none: null, list: [1]}},
  };
  const [pika, amqplib, curl] = COPIES.map(([, , write]) => write(message));
  assert.match(pika, /headers=\{"yes": True, "none": None, "list": \[1\]\}/);
  assert.ok(pika.includes('body="it\'s \\"quoted\\"\\n".encode()'));
  assert.ok(amqplib.includes('"deliveryMode":2') && amqplib.includes('amqp://localhost/%2F'));
  assert.ok(curl.includes("it'\\''s") && curl.includes('/exchanges/%2F/amq.default/publish'));
  const [other, script] = COPIES.map(([, , write]) => write({...message, ...binary}));
  assert.ok(other.includes('base64.b64decode("') && script.includes(", 'base64')"));
});

test('text that is cut in the middle of a character ends before it', () => {
  const whole = new TextEncoder().encode('a🐇');
  assert.equal(text(whole, true), 'a🐇');
  assert.equal(text(whole.subarray(0, 4), false), 'a');
  assert.equal(text(whole.subarray(0, 4), true), null);
  assert.equal(text(new Uint8Array([0xff, 97, 98, 99, 100]), false), null);
});

test('what is packed is unpacked, as far as it was told and no further', async () => {
  const plain = Buffer.from('{"n": 1}'.repeat(10));
  const bytes = new Uint8Array(gzipSync(plain));
  assert.equal(packing({properties: []}, bytes), 'gzip');
  assert.equal(packing({properties: {content_encoding: 'deflate'}}, new Uint8Array([1, 2, 3])), 'deflate');
  assert.equal(packing({properties: {content_encoding: 'gzip'}}, new Uint8Array([1, 2, 3])), null);
  const found = await unpacked(bytes, 'gzip');
  assert.equal(Buffer.compare(Buffer.from(found.bytes), plain), 0);
  assert.ok(found.isWhole);
  assert.ok((await unpacked(new Uint8Array(deflateSync(plain)), 'deflate')).isWhole);
  const cut = await unpacked(bytes.subarray(0, bytes.length - 4), 'gzip');
  assert.ok(!cut.isWhole && cut.bytes.length <= plain.length);
  assert.equal(await unpacked(new Uint8Array([1, 2, 3, 4]), 'gzip'), null);
  const bomb = await unpacked(new Uint8Array(gzipSync(Buffer.alloc(50_000_000))), 'gzip');
  assert.deepEqual([bomb.bytes.length, bomb.isWhole], [262_144, false]);
});

test('protobuf is told by the numbers of its fields', () => {
  const bytes = (...all) => new Uint8Array(all);
  // 1: 150, 2: "testing" and 3 with 1: 150 in it: the examples of its own pages.
  const known = bytes(0x08, 0x96, 0x01, 0x12, 0x07, ...Buffer.from('testing'), 0x1a, 0x03, 0x08, 0x96, 0x01);
  assert.equal(protobuf(known), '1: 150\n2: "testing"\n3:\n  1: 150');
  assert.equal(protobuf(bytes(0x08, ...Array(9).fill(0xff), 0x01)), '1: -1');
  assert.equal(protobuf(bytes(0x0d, 0, 0, 0x80, 0x3f)), '1: 1065353216 or 1');
  assert.equal(protobuf(bytes(0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f)), '1: 4607182418800017408 or 1');
  assert.equal(protobuf(bytes(0x0a, 3, 0xff, 0, 1)), '1: 3 octets ff 00 01');
  for (const wrong of [[], [0], [0x08], [0x08, 0x80], [0x0a, 5, 1], [0x0b, 1], [0x0d, 1, 2], [0xff]]) assert.equal(protobuf(bytes(...wrong)), null, wrong.join());
  let deep = bytes(0x08, 0);
  for (let n = 0; n < 40; n += 1) deep = bytes(0x0a, deep.length, ...deep);
  assert.ok(protobuf(deep).split('\n').length < 20);
});
