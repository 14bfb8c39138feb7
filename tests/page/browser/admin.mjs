// Users, permissions, vhosts, policies, limits, definitions, the log, events, and the API's own page.

import assert from 'node:assert/strict';

import {USERS} from './prepare.mjs';

// A scene may be played twice at the same time.
const ofItsOwn = (name) => `${name}-${Math.random().toString(36).slice(2, 8)}`;
const button = (page, name) => page.getByRole('button', {name, exact: true});

export const SCENES = [
  [
    'admin makes a user, grants, tries and deletes',
    async (browser) => {
      const user = browser.own('page <user> שלום');
      const window = await browser.open();
      const {page} = window;
      await window.goto('/users');
      await button(page, 'Add a user…').click();
      await window.check('admin-add-user');
      await page.getByLabel('Name', {exact: true}).fill(user);
      await page.getByLabel('Password').fill('secret');
      await page.getByRole('checkbox', {name: /^monitoring/}).check();
      await button(page, 'Add').click();
      await page.getByText('is there now').waitFor();
      await page.getByRole('link', {name: user}).click();
      await page.getByText('It may enter no vhost').waitFor();
      await button(page, 'Grant…').click();
      // Others make vhosts meanwhile.
      await page.getByLabel('Vhost').selectOption('/');
      await page.getByLabel('Configure').fill('');
      await page.getByLabel('Write').fill('^orders\\.');
      await button(page, 'Grant').click();
      // As long as a dialog is there, what is typed goes into it.
      await page.locator('dialog').waitFor({state: 'detached'});
      await page.getByLabel('A queue or an exchange').fill('orders.eu');
      await page.locator('tbody tr', {hasText: /^\s*\/\s*no\s*yes\s*yes\s*$/}).waitFor();
      await page.getByLabel('A queue or an exchange').fill('billing');
      await page.locator('tbody tr', {hasText: /^\s*\/\s*no\s*no\s*yes\s*$/}).waitFor();
      // What was tried is in the address.
      await page.reload();
      await page.locator('tbody tr', {hasText: /^\s*\/\s*no\s*no\s*yes\s*$/}).waitFor();
      await window.check('admin-user');
      await page.locator('tr', {hasText: 'Channels'}).getByRole('button').click();
      await page.getByLabel('At most').fill('12');
      await button(page, 'Set').click();
      await page.locator('tr', {hasText: 'Channels'}).getByText('12').waitFor();
      await button(page, 'Delete…').click();
      assert.ok(await button(page, 'Delete').isDisabled());
      await page.getByLabel(/^Type/).fill(user);
      await button(page, 'Delete').click();
      await page.waitForURL('**/ui/users');
      await page.getByText(`${user} is deleted.`).waitFor();
      await window.check('admin-deleted', {axe: false});
      await window.close();
    },
  ],

  [
    'admin keeps the password when it changes tags',
    async (browser) => {
      const user = browser.own('page-kept');
      await browser.api.put(`users/${user}`, {password: user, tags: 'management'});
      const window = await browser.open();
      const {page} = window;
      await window.goto(`/users/${user}`);
      await page.locator('.page-head').getByRole('button', {name: 'Change…'}).click();
      await page.getByRole('checkbox', {name: /^monitoring/}).check();
      await button(page, 'Change').click();
      await page.getByText(`${user} is changed.`).waitFor();
      assert.deepEqual((await browser.api.get(`users/${user}`)).tags.sort(), ['management', 'monitoring']);
      const other = await browser.open({user});
      await other.close();
      await window.check('admin-changed', {axe: false});
      await window.close();
      await browser.api.delete(`users/${user}`);
    },
  ],

  [
    'admin makes a vhost, protects and deletes it',
    async (browser) => {
      const vhost = browser.own('page/vhost <b>');
      const window = await browser.open();
      const {page} = window;
      await window.goto('/vhosts');
      await button(page, 'Add a vhost…').click();
      await page.getByLabel('Name', {exact: true}).fill(vhost);
      await page.getByLabel('Description').fill('<i>of tests</i>');
      await button(page, 'Add').click();
      await page.getByRole('link', {name: vhost}).click();
      await button(page, 'Protect from deletion').click();
      await page.getByText('protected', {exact: true}).waitFor();
      await button(page, 'Delete…').waitFor({state: 'detached'});
      await window.check('admin-vhost');
      await button(page, 'Lift protection').click();
      await button(page, 'Protect from deletion').waitFor();
      await button(page, 'Delete…').click();
      await page.getByLabel(/^Type/).fill(vhost);
      await button(page, 'Delete').click();
      await page.waitForURL('**/ui/vhosts');
      await window.check('admin-vhosts', {axe: false});
      await window.close();
    },
  ],

  [
    'admin sees what a policy matches before it counts',
    async (browser) => {
      const policy = browser.own('page-policy');
      const window = await browser.open();
      const {page} = window;
      await window.goto('/policies');
      await button(page, 'Add a policy…').click();
      await page.getByLabel('Name', {exact: true}).fill(policy);
      await page.getByLabel('Pattern').fill('^orders\\.');
      await page.getByRole('status').filter({hasText: 'orders.eu'}).waitFor();
      await window.check('admin-policy-form');
      await page.getByLabel('Sets').fill('{"max-length": "many"}');
      await button(page, 'Add').click();
      await page.locator('dialog [role="alert"]').waitFor();
      assert.ok(window.forgiven().every((one) => one.includes('400')));
      await page.getByLabel('Sets').fill('{"max-length": 100000}');
      await button(page, 'Add').click();
      await page.locator('tr', {hasText: policy}).getByText('max-length = 100000').waitFor();
      await window.check('admin-policies');
      await page.locator('tr', {hasText: policy}).getByRole('button', {name: 'Delete…'}).click();
      await button(page, 'Delete').click();
      await page.getByText(`${policy} is deleted.`).waitFor();
      await window.check('admin-no-policy', {axe: false});
      await window.close();
    },
  ],

  [
    'admin sees whose place a policy takes, and where two collide',
    async (browser) => {
      const vhost = ofItsOwn('page-policies');
      const {api} = browser;
      await api.put(`vhosts/${vhost}`);
      await api.put(`permissions/${vhost}/guest`, {configure: '.*', write: '.*', read: '.*'});
      for (const [name, type] of [['jobs.1', 'classic'], ['jobs.2', 'quorum'], ['jobs.3', 'quorum'], ['Jobs.4', 'quorum'], ['other', 'classic']])
        await api.put(`queues/${vhost}/${name}`, {durable: true, arguments: {'x-queue-type': type}});
      const policy = (pattern, priority) => ({pattern, priority, definition: {'max-length': 9}, 'apply-to': 'queues'});
      await api.put(`policies/${vhost}/low`, policy('^jobs.1', 1));
      await api.put(`policies/${vhost}/mid`, policy('^jobs.2', 5));
      await api.put(`policies/${vhost}/top`, policy('^jobs.3', 9));
      await api.put(`operator-policies/${vhost}/limit`, {...policy('^jobs', 5), definition: {'max-length': 5}});
      const window = await browser.open();
      const {page} = window;
      const preview = page.locator('dialog [role="status"]');
      await window.goto('/policies');
      await button(page, 'Add a policy…').click();
      await page.getByLabel('Vhost').selectOption(vhost);
      await page.getByLabel('Pattern').fill('^jobs');
      await page.getByLabel('Priority').fill('5');
      // A policy's pattern has regard to case.
      await preview.getByText('3 queues').waitFor();
      await preview.getByText(/Takes the place of\s+low\s+on\s+jobs.1\s*: its priority is lower, 1/).waitFor();
      await preview.getByText(/Has no effect beside\s+top\s+on\s+jobs.3/).waitFor();
      await preview.getByText(/Collides with\s+mid .*the name that comes first counts\./).waitFor();
      await page.getByLabel('Name', {exact: true}).fill('also');
      await preview.getByText(/the name that comes first counts, which is also/).waitFor();
      await window.check('admin-policy-effects');
      await page.getByLabel('Of', {exact: true}).selectOption('quorum_queues');
      await preview.getByText('2 quorum queues').waitFor();
      await page.getByLabel('Name', {exact: true}).fill('mid');
      await preview.getByText('mid is there already').waitFor();
      await page.getByLabel('Name', {exact: true}).fill('also');
      await button(page, 'Add').click();
      await page.locator('dialog').waitFor({state: 'detached'});
      await page.getByLabel('Filter by name').fill('jobs');
      const row = (name) => page.locator('tr', {has: page.locator(`td:first-child > bdi:text-is("${name}")`), hasText: vhost});
      await row('also').filter({hasText: /collides\s*with mid on\s+jobs.2\s*: by its name this one counts/}).waitFor();
      await row('mid').filter({hasText: /collides\s*with also on\s+jobs.2\s*: by its name also counts/}).waitFor();
      assert.equal(await row('top').getByText('collides').count(), 0);
      await window.check('admin-policy-collides');
      // One that is there is told as it is, and an operator policy by those of its own kind.
      await row('also').getByRole('button', {name: 'Change…'}).click();
      await preview.getByText(/Collides with\s+mid .*which is also/).waitFor();
      await page.getByLabel('Priority').fill('1');
      await preview.getByText(/Has no effect beside\s+mid/).waitFor();
      await page.keyboard.press('Escape');
      await page.locator('dialog').waitFor({state: 'detached'});
      await row('limit').getByRole('button', {name: 'Change…'}).click();
      await preview.getByText('No other policy counts for any of them').waitFor();
      await page.keyboard.press('Escape');
      await window.close();
      await api.delete(`vhosts/${vhost}`);
    },
  ],

  [
    'admin sees what definitions change before they do',
    async (browser) => {
      const queue = browser.own('page <defined>');
      const window = await browser.open();
      const {page} = window;
      await window.goto('/definitions');
      const download = page.waitForEvent('download');
      await button(page, 'Download').click();
      assert.match((await download).suggestedFilename(), /^definitions-.*\.json$/);
      await page.getByLabel('Or its text').fill('{');
      await button(page, 'Show what would change').click();
      await page.getByText('This is no JSON').waitFor();
      await page
        .getByLabel('Or its text')
        .fill(JSON.stringify({queues: [{name: queue, vhost: '/', durable: true, auto_delete: false, arguments: {}}]}));
      await button(page, 'Show what would change').click();
      await page.getByText(queue).first().waitFor();
      await window.check('admin-difference');
      await button(page, 'Apply 1 change…').click();
      await button(page, 'Apply').click();
      await page.getByText('The definitions count now.').waitFor();
      await browser.api.delete(`queues/%2F/${encodeURIComponent(queue)}`);
      await window.check('admin-defined', {axe: false});
      await window.close();
    },
  ],

  [
    'admin reads the log and events as they come',
    async (browser) => {
      const queue = browser.own('page <event>');
      const user = browser.own('page-logged');
      const window = await browser.open();
      const {page} = window;
      await window.goto('/events');
      await page.getByText(/^live/).waitFor();
      await browser.api.put(`queues/%2F/${encodeURIComponent(queue)}`);
      await page.getByText(queue).waitFor();
      await window.check('admin-events');
      await window.follow('/log?level=debug');
      await page.getByText(/^live/).waitFor();
      await browser.api.put(`users/${user}`, {password: 'x', tags: ''});
      await browser.api.delete(`users/${user}`);
      await page.locator('.lines li').first().waitFor();
      await page.getByRole('button', {name: 'Hold'}).click();
      await page.getByText(/^held/).waitFor();
      await window.check('admin-log');
      await button(page, 'Go on').click();
      await page.getByLabel('Lines of').selectOption('queue');
      await page.getByText(/^live/).waitFor();
      assert.match(page.url(), /of=queue/);
      await button(page, 'What is logged…').click();
      await page.getByText(/^Now: \w+ to/).waitFor();
      await page.getByLabel('From this level on').selectOption('info');
      await page.getByLabel('Of', {exact: true}).selectOption('connection');
      await button(page, 'Set').click();
      await page.getByText('Logged from info on, of connection.').waitFor();
      await browser.api.delete(`queues/%2F/${encodeURIComponent(queue)}`);
      await window.close();
    },
  ],

  [
    'admin finds a key of the configuration',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      await window.goto('/node');
      const keys = page.locator('section', {has: page.getByRole('heading', {name: 'Keys'})});
      const set = keys.locator('tr', {hasText: 'collect_statistics_interval'});
      await set.getByText('1000').waitFor();
      assert.match(await set.textContent(), /\.conf:\d+/);
      await keys.getByLabel('Find a key by its name or meaning').fill('heartbeat');
      const one = keys.locator('tr', {has: page.locator('code', {hasText: /^heartbeat$/})});
      await one.getByText('for new connections').waitFor();
      assert.match(page.url(), /key=heartbeat/);
      await window.check('admin-keys');
      await keys.getByLabel('Find a key by its name or meaning').fill('no such key');
      await keys.getByText('No key has this in its name or meaning.').waitFor();
      await window.close();
    },
  ],

  [
    'admin tries the API',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      await window.goto('/api?name=whoami');
      await page.locator('summary', {hasText: 'Tells who asks'}).click();
      await button(page, 'Try it').click();
      await page.locator('.answer', {hasText: '"name": "guest"'}).waitFor();
      await window.check('admin-api');
      await window.close();
    },
  ],

  [
    'admin has no buttons where it only reads, and others never',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      await window.goto('/users');
      await page.locator('.menu summary').click();
      await page.getByLabel('Read only').check();
      await page.keyboard.press('Escape');
      for (const path of ['/users', '/users/guest', '/vhosts', '/vhosts/%2F', '/policies', '/definitions']) {
        await window.follow(path);
        assert.equal(await page.locator('.main .is-bad, .main button', {hasText: '…'}).count(), 0, path);
      }
      await window.check('admin-read-only', {axe: false});
      await window.close();
      const other = await browser.open({user: USERS.management});
      await other.goto('/policies');
      assert.equal(await other.page.locator('.main button', {hasText: '…'}).count(), 0);
      await other.follow('/users');
      await other.page.getByText('This page is for users with the tag administrator').waitFor();
      await other.check('admin-not-for-you');
      await other.close();
    },
  ],
];
