// Queues: the list and what is done to many, one queue, its bindings and its arguments.

import assert from 'node:assert/strict';

import {NAMES, USERS} from './prepare.mjs';

const button = (page, name) => page.getByRole('button', {name, exact: true});

async function declare(api, names, messages = 0) {
  for (const name of names) {
    await api.put(`queues/%2F/${encodeURIComponent(name)}`, {durable: true});
    for (let n = 0; n < messages; n += 1) {
      await api.post('exchanges/%2F/amq.default/publish', {properties: {}, routing_key: name, payload: `${n}`, payload_encoding: 'string'});
    }
  }
}

export const SCENES = [
  ['queues shows names as they are', async (browser) => {
    const window = await browser.open();
    const {page} = window;
    await window.goto('/queues');
    for (const name of NAMES) await page.getByRole('checkbox', {name: `Pick ${name}`, exact: true}).waitFor();
    assert.equal(await page.locator('data-table img, data-table script').count(), 0);
    for (const name of NAMES) {
      await window.follow(`/queues/%2F/${encodeURIComponent(name)}`);
      assert.equal((await page.locator('h1 bdi').textContent()), name);
      await window.check('queue-name', {axe: false, shot: false});
    }
    await window.close();
  }],

  ['queues keeps filter, order and columns in the address', async (browser) => {
    const window = await browser.open();
    const {page} = window;
    await window.goto('/queues');
    await page.getByRole('searchbox').fill('^orders\\.');
    await page.getByText('No queue fits.').waitFor();
    await button(page, 'regex').click();
    await page.getByRole('link', {name: 'orders.eu'}).waitFor();
    await page.getByRole('searchbox').fill('(');
    await page.getByText('This is no regular expression yet').waitFor();
    await page.getByRole('searchbox').fill('^orders\\.');
    await page.locator('summary', {hasText: 'Columns'}).click();
    await page.getByRole('checkbox', {name: /^Memory/}).check();
    await page.getByRole('checkbox', {name: /^Vhost/}).uncheck();
    await window.check('queues-columns');
    await page.keyboard.press('Escape');
    await page.getByRole('columnheader', {name: 'Memory'}).waitFor();
    await page.reload();
    await page.getByRole('columnheader', {name: 'Memory'}).waitFor();
    assert.equal(await page.getByRole('columnheader', {name: 'Vhost'}).count(), 0);
    assert.equal(await page.getByRole('searchbox').inputValue(), '^orders\\.');
    await window.check('queues-filtered', {axe: false});
    await window.close();
  }],

  ['queues keeps views', async (browser) => {
    const window = await browser.open();
    const {page} = window;
    await window.goto('/queues?name=orders&sort=-messages_ready');
    await page.locator('summary', {hasText: 'Views'}).click();
    await page.getByLabel('Name of the view').fill('<b>orders</b>');
    await button(page, 'Keep').click();
    await page.getByRole('link', {name: '<b>orders</b>'}).waitFor();
    await window.check('queues-views');
    await window.follow('/queues');
    await page.getByRole('link', {name: '<b>orders</b>'}).click();
    await page.waitForURL(/name=orders&sort=-messages_ready$/);
    await page.locator('summary', {hasText: 'Views'}).click();
    await page.getByRole('button', {name: /^Forget/}).click();
    await page.getByText('A view keeps what').waitFor();
    assert.equal(await page.evaluate(() => localStorage.getItem('leveret.views.queues')), null);
    await window.close();
  }],

  ['views are kept of each list by itself', async (browser) => {
    const window = await browser.open();
    const {page} = window;
    const LISTS = [['exchanges', 'name=page&sort=-type'], ['consumers', 'name=tag&sort=-consumer_tag'], ['connections', 'name=page&sort=-user'], ['channels', 'name=page&sort=-user']];
    const views = page.locator('summary', {hasText: 'Views'});
    for (const [list, query] of LISTS) {
      await window.goto(`/${list}?${query}`);
      await views.click();
      await page.getByText('A view keeps what').waitFor();
      await page.getByLabel('Name of the view').fill(`a view of ${list}`);
      await button(page, 'Keep').click();
      await page.getByRole('link', {name: `a view of ${list}`}).waitFor();
      await window.check(`views-${list}`);
      await page.keyboard.press('Escape');
    }
    for (const [list, query] of LISTS) {
      await window.follow(`/${list}`);
      await views.click();
      assert.equal(await page.locator('.view').count(), 1);
      await page.getByRole('link', {name: `a view of ${list}`}).click();
      await page.waitForURL(`**/${list}?${query}`);
    }
    await window.close();
  }],

  ['queues does to many what was asked with counts', async (browser) => {
    const all = browser.own('page-many');
    const names = [`${all}-1`, `${all}-2 <b>`, `${all}-3`];
    await declare(browser.api, names, 2);
    const window = await browser.open();
    const {page} = window;
    await window.goto(`/queues?name=${all}`);
    await page.getByRole('checkbox', {name: `Pick ${names[0]}`}).focus();
    await page.keyboard.press('Space');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Space');
    await page.getByText('2 queues').waitFor();
    await page.getByText('Pick all 3').click();
    await page.locator('.bulk', {hasText: '6 ready messages'}).waitFor();
    await window.check('queues-picked');
    await button(page, 'Pause…').click();
    await page.getByLabel('Reason').fill('page <i>test</i>');
    await button(page, 'Pause').click();
    await page.getByText('3 queues are paused.').waitFor();
    await page.locator('td .badge', {hasText: 'paused'}).nth(2).waitFor();
    for (const name of names) await page.getByRole('checkbox', {name: `Pick ${name}`, exact: true}).check();
    await button(page, 'Purge…').click();
    await page.getByText('6 messages are gone for good.').waitFor();
    assert.ok(await button(page.locator('dialog'), 'Purge').isDisabled());
    await window.check('queues-purge');
    await page.locator('#dialog-typed').fill('purge 3');
    await button(page, 'Purge').click();
    await page.getByText('3 queues are purged.').waitFor();
    for (const name of names) await page.getByRole('checkbox', {name: `Pick ${name}`, exact: true}).check();
    await button(page, 'Delete…').click();
    await page.getByText('0 messages are gone for good').waitFor();
    await page.locator('#dialog-typed').fill('delete 3');
    await button(page, 'Delete').click();
    await page.getByText('3 queues are deleted.').waitFor();
    await page.getByText('No queue fits.').waitFor();
    await window.check('queues-deleted', {axe: false});
    await window.close();
  }],

  ['queues declares one, binds it, changes it, and deletes it', async (browser) => {
    const name = browser.own('page <new> 🐇');
    const window = await browser.open();
    const {page} = window;
    await window.goto('/queues');
    await button(page, 'Declare…').click();
    await page.getByLabel('Name', {exact: true}).fill(name);
    await page.getByLabel('Arguments').fill('x-max-length');
    await button(page, 'Declare').click();
    await page.getByText('is not of the form name = value').waitFor();
    await page.getByLabel('Arguments').fill('x-max-length = 10');
    await window.check('queues-declare');
    await button(page, 'Declare').click();
    await page.getByText(`${name} is declared.`).waitFor();
    await window.follow(`/queues/%2F/${encodeURIComponent(name)}?part=bindings`);
    await button(page, 'Bind…').click();
    await page.locator('#b-source').fill('amq.topic');
    await page.getByLabel('Routing key').fill('a b/~.*');
    await button(page, 'Bind').click();
    await page.getByText(`${name} is bound.`).waitFor();
    await window.check('queue-bindings');
    await button(page, 'Unbind…').click();
    await button(page, 'Unbind').click();
    await page.getByText(`${name} is unbound.`).waitFor();
    await page.getByRole('link', {name: 'Arguments'}).click();
    await button(page, 'Change…').click();
    await page.locator('#a-value').fill('many');
    await button(page, 'Change').click();
    await page.locator('dialog [role="alert"]').waitFor();
    assert.ok(window.forgiven().every((one) => one.includes('400')));
    await page.locator('#a-value').fill('20');
    await button(page, 'Change').click();
    await page.getByText('x-max-length is 20 now.').waitFor();
    await page.locator('td', {hasText: /^20$/}).first().waitFor();
    await window.check('queue-arguments');
    await button(page, 'Delete…').click();
    await page.locator('#dialog-typed').fill(name);
    await button(page, 'Delete').click();
    await page.waitForURL('**/ui/queues');
    await window.check('queue-deleted', {axe: false});
    await window.close();
  }],

  ['queues says why one is stuck, and lets it go on', async (browser) => {
    const name = browser.own('page-stuck');
    await declare(browser.api, [name], 3);
    const window = await browser.open();
    const {page} = window;
    await window.goto(`/queues/%2F/${name}`);
    await page.getByText('Nobody consumes from it. 3 messages wait').waitFor();
    await window.check('queue-stuck');
    await button(page, 'Pause…').click();
    await page.getByLabel('Reason').fill('upgrade');
    await button(page, 'Pause').click();
    await page.getByText('Its consumers are paused').waitFor();
    await button(page, 'Resume').click();
    await page.getByText(`${name} is resumed.`).waitFor();
    await button(page, 'Pause…').waitFor();
    await window.check('queue-resumed', {axe: false});
    await browser.api.delete(`queues/%2F/${name}`);
    await page.getByText('It may have been deleted').waitFor();
    assert.ok(window.forgiven().every((one) => one.includes('404')));
    await window.close();
  }],

  ['queues marks in charts what happened', async (browser) => {
    const name = browser.own('page-marks');
    await declare(browser.api, [name], 3);
    const window = await browser.open();
    const {page} = window;
    await window.goto(`/queues/%2F/${name}`);
    const plot = page.locator('.chart-plot').first();
    await page.locator('.chart-line[d*="L"]').first().waitFor();
    await browser.api.put(`queues/%2F/${name}/pause`, {consumers: true, reason: 'an <b>upgrade</b>'});
    await button(page, 'Purge…').click();
    await button(page.locator('dialog'), 'Purge').click();
    const label = /Happened: .*Its consumers are paused: an <b>upgrade<\/b>.*Purged by guest|Happened: .*Purged by guest.*Its consumers are paused/;
    await page.getByRole('img', {name: label}).first().waitFor();
    // With a pointer, or a finger; what is told stays as long as it is looked at.
    const [whole, mark] = [await plot.boundingBox(), await plot.locator('.chart-event').last().boundingBox()];
    const position = {x: mark.x + mark.width / 2 - whole.x, y: 90};
    await (browser.isPhone ? plot.tap({position}) : plot.hover({position}));
    await plot.locator('.chart-note', {hasText: /^\d\d:\d\d:\d\d [^]*(Purged by guest|are paused: an <b>upgrade<\/b>)/}).waitFor();
    await window.check('queue-marks');
    await page.getByRole('heading', {level: 1}).click();
    await page.mouse.move(0, 0);
    await plot.locator('.chart-note').waitFor({state: 'detached'});
    // And by the keyboard.
    await plot.focus();
    for (let n = 0; n < 600 && (await plot.locator('.chart-note', {hasText: 'Purged'}).count()) === 0; n += 1) await page.keyboard.press('ArrowLeft');
    await plot.locator('.chart-note', {hasText: 'Purged'}).waitFor();
    await window.close();
    await browser.api.delete(`queues/%2F/${name}`);
  }],

  ['queues has the consumers of one', async (browser) => {
    const window = await browser.open();
    const {page} = window;
    await window.goto('/queues/%2F/orders.eu');
    await page.locator('td', {hasText: '<i>tag</i>'}).waitFor();
    await page.getByRole('button', {name: 'Cancel…'}).waitFor();
    await window.check('queue-consumers');
    await window.close();
    const other = await browser.open({user: USERS.monitoring});
    await other.goto('/queues/%2F/orders.eu');
    await other.page.locator('td', {hasText: '<i>tag</i>'}).waitFor();
    assert.equal(await other.page.getByRole('button', {name: 'Cancel…'}).count(), 0);
    await other.close();
  }],

  ['queues has no buttons where somebody only reads', async (browser) => {
    const window = await browser.open();
    const {page} = window;
    await window.goto('/queues');
    await page.locator('.menu summary').first().click();
    await page.getByLabel('Read only').check();
    await page.keyboard.press('Escape');
    for (const path of ['/queues', '/queues/%2F/orders.eu', '/queues/%2F/orders.eu?part=bindings', '/queues/%2F/orders.eu?part=arguments']) {
      await window.follow(path);
      assert.equal(await page.locator('.main button', {hasText: '…'}).count(), 0, path);
      assert.equal(await page.locator('.main .pick').count(), 0, path);
    }
    await window.check('queues-read-only', {axe: false});
    await window.close();
  }],
];
