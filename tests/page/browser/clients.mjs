// Clients that are there while pages are looked at, and what can be done with them.

import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const require = createRequire(join(process.env.LEVERET_PAGE_TOOLS, '..', 'node', 'package.json'));
export const NAME = 'page <b>client</b> 🐇';

export async function connect(name) {
  const amqp = require('amqplib');
  const connection = await amqp.connect(process.env.LEVERET_AMQP, {clientProperties: {connection_name: name}});
  connection.on('error', () => {});
  return connection;
}

// A client that consumes as long as the tests run; where no client is installed there is none.
export async function start(api) {
  const connection = await connect(NAME);
  const channel = await connection.createConfirmChannel();
  await channel.prefetch(10);
  await channel.consume('orders.eu', () => {}, {consumerTag: '<i>tag</i>'});
  await listed(api, NAME);
  return connection;
}

export async function listed(api, name) {
  for (;;) {
    const all = await api.get('connections?columns=name,user_provided_name');
    const found = all.find((one) => one.user_provided_name === name);
    if (found !== undefined) return found.name;
    await new Promise((later) => setTimeout(later, 50));
  }
}

export const SCENES = [
  [
    'clients closes a connection with a reason',
    async (browser) => {
      const called = browser.own('page to be closed');
      const client = await connect(called);
      const closed = new Promise((told) => client.on('close', told));
      const name = await listed(browser.api, called);
      const window = await browser.open();
      const {page} = window;
      await window.goto('/connections');
      await page.getByRole('link', {name: called}).click();
      await page.getByRole('heading', {level: 1, name: called}).waitFor();
      assert.ok(page.url().endsWith(`/connections/${encodeURIComponent(name)}`));
      await page.getByRole('button', {name: 'Close…'}).click();
      await window.check('clients-close');
      await page.getByLabel('Reason').fill('not needed <any> more');
      await page.getByRole('button', {name: 'Close', exact: true}).click();
      await page.getByText(`${called} is closed.`).waitFor();
      assert.match((await closed).message, /not needed <any> more/);
      await page.waitForURL('**/ui/connections');
      await window.check('clients-closed', {axe: false});
      await window.close();
    },
  ],

  [
    'clients cancels a consumer',
    async (browser) => {
      const queue = browser.own('page-cancel');
      const tag = browser.own('page-tag');
      await browser.api.put(`queues/%2F/${queue}`, {durable: true});
      const client = await connect(browser.own('page to be cancelled'));
      const channel = await client.createChannel();
      const cancelled = new Promise((told) =>
        channel.consume(queue, (message) => message ?? told(), {consumerTag: tag}),
      );
      const window = await browser.open();
      const {page} = window;
      await window.goto(`/consumers?name=${tag}`);
      await page.getByRole('button', {name: 'Cancel…'}).click();
      await page.getByRole('button', {name: 'Cancel the consumer'}).click();
      await cancelled;
      await page.getByText('No consumer has this in its tag.').waitFor();
      await window.check('clients-cancelled', {axe: false});
      await window.close();
      await client.close();
      await browser.api.delete(`queues/%2F/${queue}`);
    },
  ],

  [
    'clients are sorted and filtered in the address',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      // Columns that are there at every width.
      await window.goto('/connections?sort=-recv_oct_details.rate');
      await page.locator('th[aria-sort="descending"]', {hasText: 'In, /s'}).waitFor();
      await page.getByRole('button', {name: 'State'}).click();
      await page.waitForURL('**/connections?sort=state');
      await page.getByRole('searchbox').fill('no such name');
      await page.getByText('No connection has this in its name or address').waitFor();
      assert.match(page.url(), /name=no\+such\+name&sort=state$/);
      await page.reload();
      await page.getByText('No connection has this in its name or address').waitFor();
      await window.check('clients-filtered');
      await window.close();
    },
  ],

  [
    'clients show names as they are',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      await window.goto('/connections');
      await page.getByRole('link', {name: NAME}).click();
      await page.getByRole('heading', {level: 1, name: NAME}).waitFor();
      await page.getByRole('link', {name: '1', exact: true}).click();
      await page.getByText('<i>tag</i>').waitFor();
      await page.getByText('confirms').waitFor();
      await window.check('clients-channel');
      await window.close();
    },
  ],

  [
    'clients of others have no buttons',
    async (browser) => {
      const window = await browser.open({user: 'page-monitoring'});
      const {page} = window;
      await window.goto('/consumers');
      await page.getByText('<i>tag</i>').waitFor();
      assert.equal(await page.getByRole('button', {name: 'Cancel…'}).count(), 0);
      await page.goto(`/ui/connections/${encodeURIComponent(await listed(browser.api, NAME))}`);
      await page.getByRole('heading', {level: 1, name: NAME}).waitFor();
      assert.equal(await page.getByRole('button', {name: 'Close…'}).count(), 0);
      await window.check('clients-of-others', {axe: false});
      await window.close();
    },
  ],
];
