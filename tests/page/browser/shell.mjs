// Signing in and out, finding, the theme, and a broker that goes away.

import assert from 'node:assert/strict';
import {connect, createServer} from 'node:net';

import {PHONE} from './harness.mjs';
import {USERS} from './prepare.mjs';

async function fill(page, user, password) {
  await page.getByLabel('User', {exact: true}).fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', {name: 'Sign in'}).click();
}

// A way to the broker that can be shut, as when it is gone.
class Door {
  static async before(target) {
    const door = new Door(target);
    await door.open();
    return door;
  }

  constructor(target) {
    this.target = target;
    this.port = 0;
    this.sockets = new Set();
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async open() {
    this.server = createServer((from) => {
      const to = connect(Number(this.target.port), this.target.hostname);
      for (const socket of [from, to]) {
        this.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          from.destroy();
          to.destroy();
        });
      }
      from.pipe(to);
      to.pipe(from);
    });
    await new Promise((ready) => this.server.listen(this.port, '127.0.0.1', ready));
    this.port = this.server.address().port;
  }

  shut() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }
}

export const SCENES = [
  [
    'shell tells exact times to a finger and to the keyboard',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      const note = page.locator('.aside');
      const place = () => page.evaluate(() => [document.documentElement.scrollHeight, document.querySelector('.holders time').getBoundingClientRect().top]);
      await window.goto('/queues/%2F/orders.eu?part=messages&state=unacked');
      const time = page.locator('.holders time').first();
      const exact = await time.getAttribute('title');
      assert.match(exact, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+−]\d\d:\d\d$/);
      await time.scrollIntoViewIfNeeded();
      const before = await place();
      await time.click();
      await note.getByText(exact).waitFor();
      assert.deepEqual(await place(), before, 'nothing moves');
      const box = await note.boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= page.viewportSize().width && box.height < 50, JSON.stringify(box));
      await window.check('shell-aside');
      await page.getByRole('heading', {level: 1}).click();
      await note.waitFor({state: 'hidden'});
      // In a row by the arrow keys, and no stop of the Tab key.
      const link = page.locator('.holders a').first();
      await link.focus();
      await page.keyboard.press('ArrowRight');
      await note.getByText(exact).waitFor();
      assert.ok(await time.evaluate((one) => one === document.activeElement && one.tabIndex === -1));
      await page.keyboard.press('Escape');
      await note.waitFor({state: 'hidden'});
      await page.keyboard.press('ArrowLeft');
      assert.ok(await link.evaluate((one) => one === document.activeElement));
      // Where there are few they can be reached like everything else.
      const single = page.locator('.facts time').first();
      await single.focus();
      await note.getByText(await single.getAttribute('title')).waitFor();
      assert.equal(await page.locator('.page time[tabindex="0"]:is(li *, tr *)').count(), 0);
      // What a badge means is told as well, and what leads somewhere leads there.
      await page.getByRole('link', {name: 'Now'}).click();
      await note.waitFor({state: 'hidden'});
      const badge = page.locator('td .badge[title]').first();
      await badge.click();
      await note.getByText(await badge.getAttribute('title')).waitFor();
      await window.check('shell-aside-badge', {axe: false});
      await window.close();
    },
  ],

  [
    'shell signs in where one was, and out',
    async (browser) => {
      const window = await browser.open({user: null});
      const {page} = window;
      await window.goto('/design?sort=-ready');
      await window.check('shell-sign-in');
      await fill(page, 'guest', 'guest');
      await page.getByRole('heading', {level: 1, name: 'Design'}).waitFor();
      assert.match(page.url(), /\/ui\/design\?sort=-ready$/);
      const kept = await page.evaluate(() =>
        [document.cookie, JSON.stringify({...localStorage, ...sessionStorage})].join(),
      );
      assert.doesNotMatch(kept, /guest|session/);
      await page.locator('.menu summary').click();
      await window.check('shell-menu');
      await page.getByRole('button', {name: 'Sign out'}).click();
      await page.getByText('You are signed out.').waitFor();
      assert.equal((await window.context.cookies()).length, 0);
      await window.check('shell-signed-out');
      await window.close();
    },
  ],

  [
    'shell says why it lets nobody in',
    async (browser) => {
      const window = await browser.open({user: null});
      await window.goto('/overview');
      await fill(window.page, 'guest', 'wrong');
      await window.page.getByText('User and password do not fit together.').waitFor();
      await fill(window.page, USERS.plain, USERS.plain);
      await window.page.getByText('has no tag that lets it in').waitFor();
      const wrong = window.forgiven();
      assert.ok(
        wrong.every((one) => one.includes('401')),
        wrong.join('\n'),
      );
      await window.check('shell-refused');
      await window.close();
    },
  ],

  [
    'shell signs in where somebody else knows the users',
    async (browser) => {
      const window = await browser.open({user: null});
      const {page} = window;
      await page.goto('/?refused=untagged');
      await page.getByText('gives no tag that lets you in').waitFor();
      assert.ok(page.url().endsWith('/ui/overview'), page.url());
      await window.check('shell-elsewhere');
      await page.getByRole('link', {name: 'Sign in with 127.0.0.1'}).click();
      await page.getByRole('heading', {level: 1, name: 'Overview'}).waitFor();
      await page.locator('.menu summary', {hasText: 'ada'}).waitFor();
      // Only the browser has the cookies, and only it sees them.
      assert.equal(await page.evaluate(() => document.cookie), '');
      const cookies = await window.context.cookies();
      assert.deepEqual(
        cookies.map(({name, httpOnly, sameSite}) => [name.replace(/\d+$/, ''), httpOnly, sameSite]),
        [['leveret_session_', true, 'Strict']],
      );
      await window.check('shell-from-elsewhere', {axe: false});
      await window.close();
    },
  ],

  [
    'shell asks again when the session is over',
    async (browser) => {
      const user = browser.own('page-gone');
      await browser.api.put(`users/${user}`, {password: user, tags: 'management'});
      const window = await browser.open({user});
      await window.goto('/overview');
      await browser.api.delete(`users/${user}`);
      await window.page.getByText('The session is over.').waitFor();
      const wrong = window.forgiven();
      assert.ok(
        wrong.every((one) => one.includes('401')),
        wrong.join('\n'),
      );
      await fill(window.page, 'guest', 'guest');
      await window.page.getByRole('heading', {level: 1, name: 'Overview'}).waitFor();
      await window.check('shell-again', {axe: false});
      await window.close();
    },
  ],

  [
    'shell finds by the keyboard alone',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      await window.goto('/design');
      await page.keyboard.press('Control+k');
      await window.check('shell-palette');
      await page.keyboard.type('overv');
      await page.getByRole('option', {name: /Overview/}).waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', {level: 1, name: 'Overview'}).waitFor();
      assert.equal(await page.locator('dialog').count(), 0);
      await page.goBack();
      await page.getByRole('heading', {level: 1, name: 'Design'}).waitFor();
      await page.keyboard.press('Tab');
      await window.check('shell-back', {axe: false});
      await window.close();
    },
  ],

  [
    'shell keeps what it shows while the broker is away',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      await window.goto('/overview');
      const ready = await page.locator('.readout dd').first().textContent();
      await window.context.setOffline(true);
      await page.getByText('The broker does not answer.').waitFor();
      assert.equal(await page.locator('.readout dd').first().textContent(), ready);
      await page.getByText('No connection').waitFor();
      assert.ok((await window.breaches()).length === 0);
      await window.context.setOffline(false);
      await page.getByText('The broker does not answer.').waitFor({state: 'detached'});
      await page.getByText('Live', {exact: true}).waitFor();
      const wrong = window.forgiven();
      assert.ok(
        wrong.every((one) => one.includes('ERR_INTERNET_DISCONNECTED')),
        wrong.join('\n'),
      );
      await window.close();
    },
  ],

  [
    'shell catches up with a broker that was gone',
    async (browser) => {
      const queue = browser.own('page-meanwhile');
      const door = await Door.before(new URL(browser.url));
      const window = await browser.open({at: door.url});
      const {page} = window;
      await window.goto('/overview');
      const queues = page.locator('.readout div', {hasText: 'Queues'}).locator('dd');
      const before = await queues.textContent();
      door.shut();
      await page.getByText('The broker does not answer.').waitFor();
      assert.equal(await queues.textContent(), before);
      await browser.api.put(`queues/%2F/${queue}`);
      await door.open();
      await page.getByText('The broker does not answer.').waitFor({state: 'detached'});
      await page.waitForFunction((old) => document.querySelectorAll('.readout dd')[5].textContent !== old, before);
      await browser.api.delete(`queues/%2F/${queue}`);
      const wrong = window.forgiven();
      assert.ok(
        wrong.every((one) => /ERR_CONNECTION|ERR_EMPTY/.test(one)),
        wrong.join('\n'),
      );
      await window.check('shell-back-again', {axe: false});
      await window.close();
      door.shut();
    },
  ],

  [
    'shell remembers the theme and reads only',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      await window.goto('/overview');
      const before = await ground();
      await page.locator('.menu summary').click();
      await page.getByLabel('Theme').selectOption(browser.look.scheme === 'dark' ? 'light' : 'dark');
      const after = await ground();
      assert.notEqual(before, after);
      await page.getByLabel('Read only').check();
      await page.keyboard.press('Escape');
      await page.reload();
      await window.settled();
      assert.equal(await ground(), after);
      await page.locator('.menu summary').click();
      assert.ok(await page.getByLabel('Read only').isChecked());
      await window.check('shell-theme');
      await window.close();
    },
  ],

  [
    'shell asks nothing while it is paused',
    async (browser) => {
      const window = await browser.open();
      await window.goto('/overview');
      // On a phone it is in the menu.
      if (browser.isPhone) await window.page.locator('.bar .menu summary').click();
      const pace = window.page.getByLabel('How often it is updated').filter({visible: true});
      await pace.selectOption('0');
      await window.page.getByText('Paused').waitFor();
      const asked = [];
      window.page.on('request', (request) => asked.push(request.url()));
      await window.page.evaluate(() => new Promise((later) => setTimeout(later, 700)));
      assert.deepEqual(asked, []);
      await pace.selectOption('1');
      await window.page.waitForRequest(/api\/overview/);
      await window.page.waitForRequest(/api\/overview/);
      await window.check('shell-pace', {axe: false});
      await window.close();
    },
  ],

  [
    'shell has a menu on a phone',
    async (browser) => {
      const window = await browser.open();
      await window.goto('/design');
      await window.page.getByRole('button', {name: 'Menu'}).click();
      await window.check('shell-phone-menu');
      await window.page.getByRole('link', {name: 'Overview', exact: true}).click();
      await window.page.getByRole('heading', {level: 1, name: 'Overview'}).waitFor();
      await window.check('shell-phone', {axe: false});
      await window.close();
    },
    {on: PHONE, why: 'where there is place the rail is always there'},
  ],

  [
    "shell leads links of RabbitMQ's page to its own",
    async (browser) => {
      const window = await browser.open();
      await window.page.goto('/#/feature-flags');
      await window.page.getByRole('heading', {level: 1, name: 'Overview'}).waitFor();
      assert.match(window.page.url(), /\/ui\/overview$/);
      await window.check('shell-moved', {axe: false});
      await window.close();
    },
  ],
];
