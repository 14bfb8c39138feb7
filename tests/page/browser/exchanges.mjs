// Exchanges: the list, one of them, where a message would go, and the graph of it all.

import assert from 'node:assert/strict';

import {USERS} from './prepare.mjs';

// A scene may be played twice at the same time.
const ofItsOwn = (name) => `${name}-${Math.random().toString(36).slice(2, 8)}`;
const button = (page, name) => page.getByRole('button', {name, exact: true});
async function network(api, vhost) {
  await api.put(`vhosts/${vhost}`);
  await api.put(`permissions/${vhost}/guest`, {configure: '.*', write: '.*', read: '.*'});
  const exchange = (name, type, args = {}) => api.put(`exchanges/${vhost}/${encodeURIComponent(name)}`, {type, durable: true, arguments: args});
  const queue = (name, args = {}) => api.put(`queues/${vhost}/${encodeURIComponent(name)}`, {durable: true, arguments: args});
  const bind = (from, to, kind, key) => api.post(`bindings/${vhost}/e/${encodeURIComponent(from)}/${kind}/${encodeURIComponent(to)}`, {routing_key: key});
  await exchange('orders', 'topic', {'alternate-exchange': 'rest'});
  await exchange('audit', 'fanout');
  await exchange('rest', 'fanout');
  await exchange('dead', 'direct');
  await queue('sales.eu', {'x-dead-letter-exchange': 'dead'});
  await queue('orders <b>us</b> 🐇');
  await queue('audit.log');
  await queue('lost');
  await queue('dead.letters');
  await bind('orders', 'sales.eu', 'q', 'order.eu.*');
  await bind('orders', 'orders <b>us</b> 🐇', 'q', 'order.us.#');
  await bind('orders', 'audit', 'e', 'order.#');
  await bind('audit', 'audit.log', 'q', '');
  await bind('rest', 'lost', 'q', '');
  await bind('dead', 'dead.letters', 'q', 'order.eu.created');
}

async function farther(page, box) {
  await page.keyboard.down('Control');
  await page.mouse.move(box.x + 40, box.y + 40);
  const large = await page.locator('.graph svg').evaluate((drawing) => drawing.getBoundingClientRect().width);
  await page.mouse.wheel(0, 100);
  await page.waitForFunction((was) => document.querySelector('.graph svg').getBoundingClientRect().width < was, large);
  await page.keyboard.up('Control');
}

export const SCENES = [
  ['exchanges are drawn, and names in them are names', async (browser) => {
    const vhost = browser.own('page-graph');
    await network(browser.api, vhost);
    const window = await browser.open();
    const {page} = window;
    await window.goto(`/exchanges?part=graph&vhost=${vhost}`);
    await page.getByRole('link', {name: 'queue orders <b>us</b> 🐇'}).waitFor();
    assert.equal(await page.locator('.graph-node').count(), 9);
    assert.equal(await page.locator('.graph-edge.is-dead').count(), 1);
    assert.equal(await page.locator('.graph-edge.is-alternate').count(), 1);
    await window.check('exchanges-graph');
    const width = () => page.locator('.graph svg').evaluate((drawing) => drawing.getBoundingClientRect().width);
    const before = await width();
    await button(page, 'Closer').click();
    assert.ok((await width()) > 1.2 * before);
    await page.locator('.graph').focus();
    for (let n = 0; n < 4; n += 1) await page.keyboard.press('+');
    const box = await page.locator('.graph').boundingBox();
    const scroll = () => page.locator('.graph').evaluate((graph) => graph.scrollLeft);
    const from = await scroll();
    await window.drag([box.x + 90, box.y + 12], [box.x + 30, box.y + 12]);
    await page.waitForFunction((was) => document.querySelector('.graph').scrollLeft > was, from);
    // A phone has no wheel.
    if (!browser.isPhone) await farther(page, box);
    await page.locator('.graph').focus();
    await page.keyboard.press('0');
    assert.ok((await width()) <= before);
    await page.getByRole('searchbox').fill('lost');
    await page.waitForFunction(() => document.querySelectorAll('.graph-node').length === 3);
    await page.getByText('The same in words').click();
    await page.getByText('passes on what finds no way to').waitFor();
    await page.getByRole('link', {name: 'exchange rest'}).focus();
    await page.locator('.graph-edge.is-near').first().waitFor({state: 'attached'});
    await page.keyboard.press('Enter');
    await page.getByRole('heading', {level: 1, name: 'rest'}).waitFor();
    await window.check('exchange-of-graph', {axe: false});
    await window.close();
    await browser.api.delete(`vhosts/${vhost}`);
  }],

  ['exchanges are drawn where there are many, and queues alike are one', async (browser) => {
    const vhost = ofItsOwn('page-large');
    const {api} = browser;
    await api.put(`vhosts/${vhost}`);
    await api.put(`permissions/${vhost}/guest`, {configure: '.*', write: '.*', read: '.*'});
    await api.put(`exchanges/${vhost}/many`, {type: 'fanout', durable: true});
    for (let n = 0; n < 70; n += 1) {
      await api.put(`queues/${vhost}/many.${n}`, {durable: true});
      await api.post(`bindings/${vhost}/e/many/q/many.${n}`, {});
    }
    const window = await browser.open();
    const {page} = window;
    await window.goto(`/exchanges?part=graph&vhost=${vhost}`);
    await page.getByText('71 queues and exchanges').waitFor();
    assert.equal(await page.locator('.graph-node').count(), 2);
    await window.check('exchanges-many');
    // A link like any other: nothing is loaded anew, and the address has it.
    await page.evaluate(() => Object.assign(globalThis, {isSame: true}));
    await page.getByRole('link', {name: /^70 queues: many.0, .* Show each/}).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.graph-node').length === 71);
    assert.ok(await page.evaluate(() => globalThis.isSame));
    assert.match(page.url(), /open=many.0/);
    await page.goBack();
    await page.waitForFunction(() => document.querySelectorAll('.graph-node').length === 2);
    await button(page, 'every queue').click();
    await page.waitForFunction(() => document.querySelectorAll('.graph-node').length === 71);
    await window.goto(`/exchanges/${vhost}/many?part=route&key=x`);
    await page.getByText('70 queues', {exact: true}).first().waitFor();
    await page.locator('.graph-node.is-queues.is-lit').waitFor();
    await window.check('exchange-way-of-many');
    await window.close();
    await api.delete(`vhosts/${vhost}`);
  }],

  ['exchanges show what waits in them with when it is due, and delete it', async (browser) => {
    const name = ofItsOwn('page-due');
    await browser.api.put(`exchanges/%2F/${name}`, {type: 'x-delayed-message', durable: true, arguments: {'x-delayed-type': 'fanout'}});
    await browser.api.put(`queues/%2F/${name}`, {durable: true});
    await browser.api.post(`bindings/%2F/e/${name}/q/${name}`, {});
    for (const [n, tenant] of ['north', 'south', 'south'].entries())
      await browser.api.post(`exchanges/%2F/${name}/publish`, {properties: {headers: {'x-delay': 7_200_000, tenant}}, routing_key: `key ${n}`, payload: `later ${n}`, payload_encoding: 'string'});
    const window = await browser.open();
    const {page} = window;
    await window.goto(`/exchanges/%2F/${name}`);
    await page.getByRole('link', {name: 'Delayed'}).click();
    await page.getByText('3 here').waitFor();
    await page.locator('tbody tr', {hasText: /key 0.*in 1\sh 5\d\smin/}).waitFor();
    await page.locator('pre.body', {hasText: 'later 0'}).waitFor();
    await window.check('exchange-delayed');
    await button(page, 'Delete this…').click();
    await button(page.locator('dialog'), 'Delete').click();
    await page.getByText('2 here').waitFor();
    await page.getByLabel('Header, name=value').fill('tenant=south');
    await page.getByLabel('Text in the body').fill('later 2');
    await page.getByText('1 here').waitFor();
    await page.reload();
    await page.getByText('1 here').waitFor();
    await button(page, 'Delete messages…').click();
    await page.locator('dialog').getByText(/^\s*1 message is gone for good/).waitFor();
    await page.locator('#dialog-typed').fill('1');
    await button(page.locator('dialog'), 'Delete').click();
    await page.getByText('1 message is deleted.').waitFor();
    await page.getByText('No message fits').waitFor();
    await page.getByLabel('Header, name=value').fill('');
    await page.getByLabel('Text in the body').fill('');
    await page.getByText('1 here').waitFor();
    await window.close();
    await browser.api.delete(`queues/%2F/${name}`);
    await browser.api.delete(`exchanges/%2F/${name}`);
  }],

  ['exchanges show the way of a message', async (browser) => {
    const vhost = browser.own('page-way');
    await network(browser.api, vhost);
    const window = await browser.open();
    const {page} = window;
    await window.goto(`/exchanges/${vhost}/orders?part=route`);
    await page.getByLabel('Routing key').fill('order.eu.created');
    await page.keyboard.press('Enter');
    await page.getByText('2 queues').waitFor();
    assert.equal(await page.locator('.graph-edge.is-lit').count(), 3);
    assert.equal(await page.locator('.graph-edge:not(.is-lit)').count(), 1);
    await window.check('exchange-way');
    await page.reload();
    await page.getByText('2 queues').waitFor();
    await page.getByLabel('Routing key').fill('something');
    await button(page, 'Show the way').click();
    await page.getByText('1 queue', {exact: true}).waitFor();
    await page.locator('.graph-edge.is-alternate.is-lit').waitFor();
    await window.follow(`/exchanges/${vhost}/dead?part=route`);
    await button(page, 'Show the way').click();
    await page.getByText('Nowhere').waitFor();
    await window.check('exchange-nowhere');
    await window.close();
    await browser.api.delete(`vhosts/${vhost}`);
  }],

  ['exchanges are declared, bound, published to, and deleted', async (browser) => {
    const name = browser.own('page <exchange> 🐇');
    const window = await browser.open();
    const {page} = window;
    await window.goto('/exchanges');
    await button(page, 'Declare…').click();
    await page.getByLabel('Name', {exact: true}).fill(name);
    await page.getByLabel('Type').selectOption('topic');
    await window.check('exchanges-declare');
    await button(page, 'Declare').click();
    await page.getByText(`${name} is declared.`).waitFor();
    await window.follow(`/exchanges/%2F/${encodeURIComponent(name)}`);
    await button(page, 'Bind from it…').click();
    await page.getByLabel('Its name').fill('orders.eu');
    await page.getByLabel('Routing key').fill('<i>.*');
    await button(page, 'Bind').click();
    await page.getByText('orders.eu is bound.').waitFor();
    await page.getByRole('link', {name: 'orders.eu'}).waitFor();
    await button(page, 'Publish…').click();
    await page.getByLabel('Routing key').fill('<i>.x');
    await page.getByLabel('Body', {exact: true}).fill('through');
    await button(page, 'Publish').click();
    await page.getByText('It is published, and in a queue.').waitFor();
    await window.check('exchange');
    await button(page, 'Delete…').click();
    await page.getByText('1 bindings from it').waitFor();
    await page.locator('#dialog-typed').fill(name);
    await button(page, 'Delete').click();
    await page.waitForURL('**/ui/exchanges');
    await window.check('exchange-deleted', {axe: false});
    await window.close();
  }],

  ['exchanges have no buttons that would be refused', async (browser) => {
    const window = await browser.open({user: USERS.management});
    const {page} = window;
    await window.goto('/exchanges/%2F/amq.topic');
    assert.equal(await button(page, 'Delete…').count(), 0);
    await window.follow('/exchanges/%2F/amq.default');
    await page.getByText('Every queue is bound to it by its own name').waitFor();
    assert.equal(await button(page, /^Bind/).count(), 0);
    await window.check('exchange-default');
    await window.close();
  }],
];
