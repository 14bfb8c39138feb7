// Messages of a queue: looked at, and what is done to those that a filter means.

import assert from 'node:assert/strict';
import {gzipSync} from 'node:zlib';

import {connect} from './clients.mjs';
import {RawClient} from './raw.mjs';

// A scene may be played twice at the same time.
const ofItsOwn = (name) => `${name}-${Math.random().toString(36).slice(2, 8)}`;
const button = (page, name) => page.getByRole('button', {name, exact: true});
const queue = (name) => `/queues/%2F/${encodeURIComponent(name)}?part=messages`;

async function fill(api, name, messages) {
  await api.put(`queues/%2F/${encodeURIComponent(name)}`, {durable: true});
  for (const {properties = {}, payload, encoding = 'string'} of messages) {
    await api.post('exchanges/%2F/amq.default/publish', {
      properties, routing_key: name, payload, payload_encoding: encoding,
    });
  }
}

const gone = (api, ...names) => Promise.all(names.map((name) => api.delete(`queues/%2F/${encodeURIComponent(name)}`)));

export const SCENES = [
  ['messages are looked at and stay', async (browser) => {
    const name = browser.own('page-looked at <b>');
    await fill(browser.api, name, [
      {payload: '{"<b>markup</b>": [1, 2]}', properties: {content_type: 'application/json', headers: {'<i>h</i>': 'שלום'}}},
      {payload: '<script>alert(1)</script> 🐇'},
      {payload: Buffer.from([0, 1, 255, 60]).toString('base64'), encoding: 'base64'},
      {payload: 'x'.repeat(40_000)},
    ]);
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(name));
    await page.locator('pre', {hasText: '"<b>markup</b>": ['}).waitFor();
    await page.getByText('<i>h</i>').waitFor();
    await window.check('messages');
    await page.getByRole('button', {name: 'Message 1', exact: true}).click();
    await page.locator('pre', {hasText: '<script>alert(1)</script>'}).waitFor();
    await page.getByRole('button', {name: 'Message 2', exact: true}).click();
    await page.locator('pre.is-hex', {hasText: '00 01 ff 3c'}).waitFor();
    await page.getByRole('button', {name: 'Message 3', exact: true}).click();
    await page.getByText('of which the first 16.0 KiB are shown').waitFor();
    await button(page, 'Copy as curl').click();
    // Not the beginning of it: what is published again is the message.
    await page.waitForFunction(() => document.querySelector('dialog pre')?.textContent.includes('x'.repeat(40_000)));
    await button(page, 'Close').click();
    await button(page, 'Show all of it').click();
    await page.getByText('of which the first').waitFor({state: 'detached'});
    assert.equal(await page.locator('pre.body').evaluate((body) => body.textContent.length), 40_000);
    await page.getByRole('button', {name: 'Message 0', exact: true}).click();
    await button(page, 'Copy as pika').click();
    await page.locator('dialog pre', {hasText: 'basic_publish'}).waitFor();
    await window.check('messages-code');
    await button(page, 'Close').click();
    const {messages_ready: ready} = await browser.api.get(`queues/%2F/${encodeURIComponent(name)}`);
    assert.equal(ready, 4);
    await window.close();
    await gone(browser.api, name);
  }],

  ['messages are filtered in the address, and deleted by it with counts', async (browser) => {
    const name = browser.own('page-filtered');
    const tenants = ['north', 'south', 'north', 'north'];
    await fill(browser.api, name, tenants.map((tenant, n) => ({payload: `body ${n}`, properties: {headers: {tenant}}})));
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(name));
    await page.getByLabel('Header, name=value').fill('tenant=north');
    await page.getByText('3 here').waitFor();
    assert.match(page.url(), /header=tenant%3Dnorth/);
    await page.getByLabel('Text in the body').fill('body 9');
    await page.getByText('No message fits').waitFor();
    await window.check('messages-none', {axe: false});
    await page.getByLabel('Text in the body').fill('');
    await page.getByText('3 here').waitFor();
    await button(page, 'Delete messages…').click();
    await page.locator('dialog', {hasText: 'Meant'}).waitFor();
    await page.locator('#dialog-typed').fill('3');
    await window.check('messages-delete');
    await button(page, 'Delete').click();
    await page.getByText('3 of 3 messages are deleted.').waitFor();
    await page.getByText('No message fits').waitFor();
    await window.close();
    await gone(browser.api, name);
  }],

  ['messages are not deleted by a filter that is half typed', async (browser) => {
    const name = ofItsOwn('page-half');
    await fill(browser.api, name, [{payload: 'one'}, {payload: 'two'}]);
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(name));
    await button(page, 'Delete messages…').waitFor();
    for (const [field, wrong, right] of [['Key, a regex', `${name}(`, `${name}()`], ['Header, name=value', 'tenant', 'tenant=']]) {
      await page.getByLabel(field).fill(wrong);
      await page.getByText('No message is meant yet').waitFor();
      assert.equal(await page.locator('.toolbar button', {hasText: '…'}).count(), 0);
      await page.getByLabel(field).fill(right);
      await page.locator('.toolbar button', {hasText: 'Move…'}).waitFor();
    }
    await window.goto(`${queue(name)}&key=(`);
    await page.getByText('No message is meant yet').waitFor();
    await window.check('messages-half');
    // What this browser can read, and the broker cannot.
    await window.goto(queue(name));
    await page.getByText('2 here').waitFor();
    await page.getByLabel('Key, a regex').fill('(?!x)');
    await page.locator('.main [role="alert"]').waitFor();
    assert.equal(await page.locator('tbody tr').count(), 0);
    assert.deepEqual(window.forgiven().filter((one) => !one.includes('400')), []);
    await page.getByLabel('Key, a regex').fill('');
    await page.getByText('2 here').waitFor();
    await window.close();
    await gone(browser.api, name);
  }],

  ['messages say who has them', async (browser) => {
    const name = ofItsOwn('page-held');
    await fill(browser.api, name, [{payload: '1'}, {payload: '2'}]);
    const client = await connect(name);
    const channel = await client.createChannel();
    await channel.prefetch(1);
    const got = new Promise((told) => channel.consume(name, told, {consumerTag: 'holds <it>'}));
    await got;
    const other = await client.createChannel();
    await other.get(name);
    const window = await browser.open();
    const {page} = window;
    await window.goto(`${queue(name)}&state=unacked`);
    const held = page.getByRole('list', {name: 'Who has them'});
    await held.getByText(/^1, the oldest since/).waitFor();
    assert.equal(await held.getByRole('link').count(), 1);
    await page.locator('tbody tr', {hasText: 'holds <it>'}).getByRole('link').waitFor();
    await page.locator('tbody tr', {hasText: 'fetched'}).waitFor();
    await page.locator('.facts', {hasText: 'With'}).waitFor();
    await window.check('messages-held');
    await client.close();
    await window.close();
    await gone(browser.api, name);
  }],

  ['messages are published at a rate, until somebody stops', async (browser) => {
    const name = ofItsOwn('page-rate');
    await fill(browser.api, name, []);
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(name));
    await button(page, 'Publish…').click();
    await page.getByRole('textbox', {name: 'Body', exact: true}).fill('{}');
    await page.getByLabel('Times').fill('20');
    await page.getByLabel('A second').fill('20');
    await page.getByLabel('Keep as a template').fill('a template');
    const started = performance.now();
    await button(page.locator('dialog'), 'Publish').click();
    await page.getByRole('progressbar').waitFor();
    await page.getByText(/^20 are published and in queues, /).waitFor();
    // The last is due after 19 of 20 parts of a second.
    assert.ok(performance.now() - started >= 900);
    await page.locator('dialog').waitFor({state: 'detached'});
    await button(page, 'Publish…').click();
    await page.getByLabel('From a template').selectOption('a template');
    assert.equal(await page.getByRole('textbox', {name: 'Body', exact: true}).inputValue(), '{}');
    await page.getByLabel('Times').fill('10000');
    await page.getByLabel('A second').fill('10');
    await button(page.locator('dialog'), 'Publish').click();
    await page.locator('dialog').getByText(/^\s*([2-9]|\d\d+) of 10,000/).waitFor();
    await window.check('messages-rate');
    await button(page.locator('dialog'), 'Stop').click();
    await page.getByText(/^Stopped: \d+ of 10,000 are published and in queues/).waitFor();
    await button(page, 'Publish…').click();
    await page.getByLabel('From a template').selectOption('a template');
    await button(page, 'Forget this template').click();
    await page.getByLabel('From a template').waitFor({state: 'detached'});
    await window.close();
    await gone(browser.api, name);
  }],

  ['messages are moved and copied after a try', async (browser) => {
    const [from, to] = [browser.own('page-from'), browser.own('page-to')];
    await fill(browser.api, from, [{payload: '1'}, {payload: '2'}, {payload: '3'}]);
    await fill(browser.api, to, []);
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(from));
    await button(page, 'Move…').click();
    await page.getByLabel('Its name').fill('page-nowhere');
    await button(page, 'Try without doing it').click();
    await page.locator('dialog [role="alert"]').waitFor();
    assert.ok(window.forgiven().every((one) => one.includes('404')));
    await page.getByLabel('Its name').fill(to);
    await page.getByLabel('At most').fill('2');
    await window.check('messages-move');
    await button(page, 'Try without doing it').click();
    await button(page.locator('dialog'), 'Move').click();
    await page.getByText('2 of 2 messages are moved.').waitFor();
    await page.getByText('1 here').waitFor();
    await button(page, 'Copy…').click();
    await page.getByLabel('Its name').fill(to);
    await button(page, 'Try without doing it').click();
    await button(page.locator('dialog'), 'Copy').click();
    await page.getByText('1 of 1 messages is copied.').waitFor();
    const {messages_ready: ready} = await browser.api.get(`queues/%2F/${to}`);
    assert.equal(ready, 3);
    await window.check('messages-copied', {axe: false});
    await window.close();
    await gone(browser.api, from, to);
  }],

  ['messages that died go back where they were', async (browser) => {
    const [dead, dying] = [browser.own('page-dead'), browser.own('page-dying')];
    const passedOn = {'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead, 'x-max-length': 1};
    await fill(browser.api, dead, []);
    await browser.api.put(`queues/%2F/${dying}`, {durable: true, arguments: passedOn});
    for (const payload of ['1', '2', '3']) {
      await browser.api.post('exchanges/%2F/amq.default/publish', {
        properties: {}, routing_key: dying, payload, payload_encoding: 'string',
      });
    }
    await browser.api.post(`queues/%2F/${dying}/arguments`, {arguments: {'x-max-length': null}});
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(dead));
    await page.getByText('maxlen in').waitFor();
    await button(page, 'Redrive…').click();
    await page.locator('dialog', {hasText: 'Looked at'}).waitFor();
    await window.check('messages-redrive');
    await button(page, 'Redrive').click();
    await page.getByText('2 of 2 messages are redriven.').waitFor();
    await page.getByText('Nothing is ready').waitFor();
    await window.close();
    await gone(browser.api, dead, dying);
  }],

  ['messages are published by hand, and from a template', async (browser) => {
    const name = browser.own('page-published');
    await fill(browser.api, name, []);
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(name));
    await button(page, 'Publish…').click();
    await page.getByRole('textbox', {name: 'Body', exact: true}).fill('{"n": 1}');
    await page.getByLabel('Headers').fill('tenant = north');
    await page.getByLabel('Times').fill('2');
    await page.getByLabel('Keep as a template').fill('<b>one</b>');
    await window.check('messages-publish');
    await button(page, 'Publish').click();
    await page.getByText(/^2 are published and in queues, [\d.]+ a second\.$/).waitFor();
    await page.getByText('2 here').waitFor();
    await button(page, 'Publish…').click();
    await page.getByLabel('From a template').selectOption('<b>one</b>');
    assert.equal(await page.getByLabel('Headers').inputValue(), 'tenant = north');
    await page.getByLabel('Routing key').fill('page nobody');
    await button(page, 'Publish').click();
    await page.getByText('reached no queue').waitFor();
    await page.getByLabel('Routing key').fill(name);
    await button(page, 'Publish').click();
    await page.getByText('3 here').waitFor();
    await window.check('messages-published', {axe: false});
    await window.close();
    await gone(browser.api, name);
  }],

  ['messages are chosen one by one, and no others are meant', async (browser) => {
    const [name, to] = [browser.own('page-chosen'), browser.own('page-chosen-to')];
    await fill(browser.api, name, ['one', 'two', 'three', 'four', 'five'].map((payload) => ({payload})));
    await fill(browser.api, to, []);
    const window = await browser.open();
    const {page} = window;
    const choose = (n) => page.getByRole('checkbox', {name: `Choose message ${n}`, exact: true});
    await window.goto(queue(name));
    await choose(1).check();
    await choose(3).check();
    await page.getByText('of the 2 that are chosen').waitFor();
    await window.check('messages-chosen');
    await button(page, 'Move…').click();
    await page.getByLabel('Its name').fill(to);
    await button(page, 'Try without doing it').click();
    await page.getByText('The 2 that were chosen').waitFor();
    await button(page.locator('dialog'), 'Move').click();
    await page.getByText('2 of 2 messages are moved.').waitFor();
    await page.getByText('3 here').waitFor();
    const {messages} = await browser.api.get(`queues/%2F/${to}/messages`);
    assert.deepEqual(messages.map(({payload}) => payload), ['two', 'four']);
    // One of those that are chosen goes meanwhile: the others alone are deleted.
    await page.getByLabel('Choose all of this page').check();
    await choose(4).uncheck();
    await browser.api.post(`queues/%2F/${name}/get`, {count: 1, ackmode: 'ack_requeue_false', encoding: 'auto'});
    await button(page, 'Delete messages…').click();
    await page.getByText('1 of those that were chosen').waitFor();
    await page.locator('#dialog-typed').fill('1');
    await window.check('messages-chosen-delete');
    await button(page, 'Delete').click();
    await page.getByText('1 of 1 messages is deleted.').waitFor();
    await page.getByText('1 here').waitFor();
    await page.locator('pre', {hasText: 'five'}).waitFor();
    await button(page, 'Unacknowledged').click();
    await page.getByText('of all of them').waitFor({state: 'detached'});
    await window.close();
    await gone(browser.api, name, to);
  }],

  ['messages that are packed are shown unpacked', async (browser) => {
    const name = browser.own('page-packed');
    const packed = gzipSync(Buffer.from('{"<b>packed</b>": "שלום 🐇"}'));
    await fill(browser.api, name, [
      {payload: packed.toString('base64'), encoding: 'base64', properties: {content_encoding: 'gzip'}},
      {payload: gzipSync(Buffer.alloc(3_000_000, 'many ')).toString('base64'), encoding: 'base64', properties: {}},
      {payload: Buffer.from([8, 0x96, 1, 0x12, 8, ...Buffer.from('<b>x</b>')]).toString('base64'), encoding: 'base64', properties: {content_type: 'application/x-protobuf'}},
    ]);
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(name));
    await page.locator('pre', {hasText: '"<b>packed</b>": "שלום 🐇"'}).waitFor();
    await window.check('messages-packed');
    await button(page, 'as it is').click();
    await page.locator('pre.is-hex', {hasText: '1f 8b'}).waitFor();
    await button(page, 'unpacked').click();
    await page.getByRole('button', {name: 'Message 1', exact: true}).click();
    await page.locator('pre', {hasText: 'many many many'}).waitFor();
    await page.getByText('unpacked 256 KiB and more').waitFor();
    await page.getByRole('button', {name: 'Message 2', exact: true}).click();
    await page.locator('pre', {hasText: '2: "<b>x</b>"'}).waitFor();
    await window.check('messages-protobuf');
    await window.close();
    await gone(browser.api, name);
  }],

  ['messages with octets that are no text do nothing', async (browser) => {
    const bad = (text) => Buffer.concat([Buffer.from([0xff, 0xfe, 0xc3]), Buffer.from(text)]);
    const name = browser.own('page-octets');
    const called = browser.own('<img src=x onerror=alert(1)>');
    await fill(browser.api, name, []);
    const client = await RawClient.open(process.env.LEVERET_AMQP, {name: bad(called)});
    client.publish({
      key: Buffer.from(name), type: bad('<b>type</b>'), body: bad('<script>alert(1)</script>'),
      headers: [[bad('<i>name</i>'), bad('<b>value</b>')], ['\u202eright', 'to left'], ['x'.repeat(128), '🐇']],
    });
    await client.settled();
    const window = await browser.open();
    const {page} = window;
    await window.goto(queue(name));
    await page.locator('pre.is-hex', {hasText: 'ff fe c3 3c'}).waitFor();
    await page.getByText('\ufffd\ufffd\ufffd<b>value</b>').waitFor();
    await page.getByText('\ufffd\ufffd\ufffd<b>type</b>').waitFor();
    await button(page, 'text').click();
    await page.locator('pre', {hasText: '<script>alert(1)</script>'}).waitFor();
    await window.check('messages-octets');
    await window.follow('/connections');
    await page.getByRole('link', {name: called}).click();
    await page.getByRole('heading', {level: 1, name: called}).waitFor();
    await window.check('messages-octets-connection', {axe: false});
    await window.close();
    client.close();
    await gone(browser.api, name);
  }],

  ['messages of names that are no text are none: the broker refuses them', async (browser) => {
    const name = Buffer.from([0xff, 0xfe, 60, 98, 62]);
    const asks = {
      declare: (client) => client.declare(name),
      consume: (client) => client.consume('orders.eu', name),
      publish: (client) => {
        client.publish({key: name, type: '', body: '', headers: []});
        return client.next();
      },
    };
    for (const [what, ask] of Object.entries(asks)) {
      const client = await RawClient.open(process.env.LEVERET_AMQP, {name: `page-refused-${what}`});
      const answer = await ask(client);
      assert.equal(answer?.id, '10.50', what);
      assert.match(answer.rest.toString('latin1'), /FRAME_ERROR - Malformed UTF-8 in shortstr/, what);
      client.close();
    }
    const {items} = await browser.api.get('queues?page=1&page_size=100&columns=name');
    assert.ok(items.every((one) => !one.name.includes('\ufffd')));
  }, {once: true, why: 'no page is shown'}],
];
