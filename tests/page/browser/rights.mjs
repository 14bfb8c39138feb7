// Nobody sees a button that would be refused: what is offered goes by tags, and by rights to names in vhosts.

import assert from 'node:assert/strict';

import {FOREIGN, ORDERS, USERS} from './prepare.mjs';

const offered = () => [...document.querySelectorAll('#content button')].map((one) => one.textContent.trim()).filter((text) => text.endsWith('…'));

// These buttons are there and no others, once what they depend on is known.
async function offers(window, expected, what = '') {
  const {page} = window;
  const isOne = /^\/ui\/(queues|exchanges)\/[^/]+\/./.test(new URL(page.url()).pathname);
  if (isOne) await page.locator('.page-head .badge').first().waitFor();
  const has = `JSON.stringify((${offered})()) === ${JSON.stringify(JSON.stringify(expected))}`;
  await page.waitForFunction(has, null, {timeout: 15_000}).catch(() => {});
  assert.deepEqual(await page.evaluate(offered), expected, what);
}

async function at(window, path, expected) {
  await window.follow(path);
  await offers(window, expected, path);
}

export const SCENES = [
  ['rights to names decide which buttons there are', async (browser) => {
    const window = await browser.open({user: ORDERS});
    await window.goto('/queues');
    await offers(window, []);
    // What it may read can be purged, and picked for it; the rest cannot.
    await window.page.getByRole('checkbox', {name: 'Pick orders.eu'}).waitFor();
    assert.equal(await window.page.getByRole('checkbox').filter({visible: true}).and(window.page.locator('.pick')).count(), 1);
    await window.page.getByRole('checkbox', {name: 'Pick orders.eu'}).check();
    await window.page.locator('.bulk').waitFor();
    await offers(window, ['Purge…']);
    await at(window, '/queues/%2F/orders.eu', ['Purge…']);
    await window.check('rights-queue');
    await at(window, '/queues/%2F/orders.eu?part=messages', ['Purge…', 'Copy…', 'Move…', 'Delete messages…']);
    await at(window, '/queues/%2F/orders.eu?part=bindings', ['Purge…', 'Bind…', 'Unbind…']);
    await at(window, '/queues/%2F/orders.eu?part=arguments', ['Purge…']);
    await at(window, `/queues/%2F/${encodeURIComponent('🐇 hare')}?part=messages`, []);
    await window.page.getByText('may not read from this queue').waitFor();
    await window.check('rights-none');
    for (const path of ['/exchanges', '/exchanges/%2F/amq.topic', '/exchanges/%2F/amq.default', '/policies', '/limits', '/vhosts', '/vhosts/%2F']) {
      await at(window, path, []);
    }
    await window.follow(`/queues/${FOREIGN}/foreign`);
    await window.page.getByText('has no permissions in the vhost').waitFor();
    await window.check('rights-elsewhere');
    await window.close();
  }],

  ['rights that monitoring has not lead nowhere', async (browser) => {
    const window = await browser.open({user: USERS.monitoring});
    await window.goto(`/queues?name=foreign&vhost=${FOREIGN}`);
    await window.page.locator('td', {hasText: 'foreign'}).first().waitFor();
    assert.equal(await window.page.locator('td a').count(), 0);
    await window.follow(`/exchanges?vhost=${FOREIGN}&part=graph`);
    await window.follow(`/vhosts/${FOREIGN}`);
    await window.check('rights-of-monitoring');
    await window.close();
  }],

  ['rights that are given count while a page is open', async (browser) => {
    const user = browser.own('page-given');
    await browser.api.put(`users/${user}`, {password: user, tags: 'management'});
    await browser.api.put(`permissions/%2F/${user}`, {configure: '', write: '', read: '.*'});
    const window = await browser.open({user});
    await window.goto('/queues/%2F/orders.eu');
    await offers(window, ['Purge…']);
    await browser.api.put(`permissions/%2F/${user}`, {configure: '.*', write: '', read: ''});
    // It is asked again when something was refused.
    await window.page.getByRole('button', {name: 'Purge…'}).click();
    await window.page.locator('dialog').getByRole('button', {name: 'Purge'}).click();
    await window.page.getByRole('button', {name: 'Delete…'}).waitFor();
    await offers(window, ['Pause…', 'Delete…']);
    assert.ok(window.forgiven().every((one) => one.includes('401')));
    await window.check('rights-given', {axe: false});
    await window.close();
    await browser.api.delete(`users/${user}`);
  }],

  ['rights let nobody touch what is of one connection alone', async (browser) => {
    const {connect} = await import('./clients.mjs');
    const name = browser.own('page-exclusive');
    const client = await connect(name);
    const channel = await client.createChannel();
    await channel.assertQueue(name, {exclusive: true});
    const window = await browser.open();
    await window.goto(`/queues/%2F/${name}?part=messages`);
    await window.page.getByText('Of one connection alone').waitFor();
    await offers(window, []);
    await window.follow(`/queues?name=${name}`);
    await window.page.getByRole('link', {name}).waitFor();
    assert.equal(await window.page.locator('.pick').count(), 0);
    await window.check('rights-exclusive', {axe: false});
    await window.close();
    await client.close();
  }],
];
