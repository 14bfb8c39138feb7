// A browser, pages of several users in it, and what has to be true of each page that is shown.
//
// Every page is watched from its first request: an error on the console, a report of the content security
// policy, a request that fails or is refused, an exception, and a breach that axe finds fail the scene.

import assert from 'node:assert/strict';
import {existsSync, mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const TOOLS = process.env.LEVERET_PAGE_TOOLS;
const require = createRequire(join(TOOLS, 'package.json'));
const {chromium} = require('playwright-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const SHOTS = join(TOOLS, '..', 'page-shots');

export const isFull = process.env.LEVERET_PAGE === 'full';
// Pictures take longer than all else that is done with a page.
const areTaken = isFull || Boolean(process.env.LEVERET_PAGE_ONLY);

// For one thing to happen, on a machine that does much else.
export const PATIENCE = 45_000;
export const WIDE = {width: 1440, height: 900};
export const PHONE = {width: 390, height: 844};

// How a page can look. Scenes are played in the first two, which have every width and every theme between them.
export const LOOKS = [
  {name: '1440-light', size: WIDE, scheme: 'light'},
  {name: '390-dark', size: PHONE, scheme: 'dark'},
  {name: '1440-dark', size: WIDE, scheme: 'dark'},
  {name: '390-light', size: PHONE, scheme: 'light'},
];

const BROWSERS = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].map(
  (name) => `/usr/bin/${name}`,
);
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The API, asked by the administrator. */
export class Api {
  constructor(url) {
    this.url = url;
  }

  async ask(method, path, body) {
    const authorization = `Basic ${Buffer.from('guest:guest').toString('base64')}`;
    const headers = {authorization, 'content-type': 'application/json'};
    const response = await fetch(`${this.url}/api/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  get(path) {
    return this.ask('GET', path);
  }

  put(path, body = {}) {
    return this.ask('PUT', path, body);
  }

  post(path, body = {}) {
    return this.ask('POST', path, body);
  }

  delete(path) {
    return this.ask('DELETE', path);
  }
}

export class Browser {
  static async start(url) {
    const executablePath = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
    assert.ok(executablePath, 'there is no Chromium: run ./tests/setup first');
    const browser = await chromium.launch({executablePath, args: ARGUMENTS});
    mkdirSync(SHOTS, {recursive: true});
    return new Browser(browser, url);
  }

  constructor(browser, url) {
    this.browser = browser;
    this.url = url;
    this.api = new Api(url);
    this.look = LOOKS[0];
    this.windows = [];
  }

  get isPhone() {
    return this.look.size === PHONE;
  }

  // A name that the same scene in another look does not have.
  own(name) {
    return `${name}-${this.look.name}`;
  }

  close() {
    return this.browser.close();
  }

  // The same browser for one scene in one look: its windows are photographed when it fails, and closed.
  async lend(name, look, scene) {
    const lent = Object.assign(Object.create(Browser.prototype), this, {look, windows: []});
    try {
      return await scene(lent);
    } catch (error) {
      const file = `failed ${name} ${look.name}`.replaceAll(/[^\w-]+/g, '-');
      for (const [n, {page}] of lent.windows.entries())
        await page.screenshot({path: join(SHOTS, `${file}-${n}.png`)}).catch(() => {});
      throw error;
    } finally {
      await Promise.allSettled(lent.windows.map((window) => window.close()));
    }
  }

  // A window of somebody's own: signed in as this user, or as nobody.
  async open({user = 'guest', at = this.url, interval = 1} = {}) {
    const {size, scheme} = this.look;
    const context = await this.browser.newContext({
      viewport: size,
      colorScheme: scheme,
      baseURL: at,
      hasTouch: this.isPhone,
      isMobile: this.isPhone,
      reducedMotion: 'reduce',
    });
    context.setDefaultTimeout(PATIENCE);
    if (user !== null) {
      const answer = await context.request.post('/api/session', {
        data: {user, password: user},
        headers: {'x-leveret-page': '1'},
      });
      assert.equal(answer.status(), 200, `${user} signs in`);
    }
    await context.addInitScript((seconds) => {
      // Nobody waits five seconds for the next round.
      if (location.protocol === 'http:' && localStorage.getItem('leveret.interval') === null)
        localStorage.setItem('leveret.interval', String(seconds));
      addEventListener('securitypolicyviolation', (event) => {
        console.error(`csp: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
      });
    }, interval);
    const window = new Window(context, await context.newPage(), this.look);
    if (this.isPhone) withFinger(window.page);
    this.windows.push(window);
    return window;
  }
}

// What scenes click on is touched where the window is a phone's: no pointer comes over it first.
const touched = new WeakSet();
let isTaught = false;

function withFinger(page) {
  touched.add(page);
  if (isTaught) return;
  isTaught = true;
  const kind = Object.getPrototypeOf(page.locator('body'));
  const {click} = kind;
  kind.click = function (options) {
    return touched.has(this.page()) ? this.tap(options) : click.call(this, options);
  };
}

// The bar above, or a notice, lies over a part of it where the page is scrolled to: it is no smaller for that.
const isCovered = ({id, any}) => id === 'target-size' && any.some(({data}) => /obscured/i.test(data?.messageKey ?? ''));

// A window and what went wrong in it.
export class Window {
  constructor(context, page, look) {
    this.context = context;
    this.page = page;
    this.look = look;
    this.wrong = [];
    page.on('console', (message) => {
      const isBad = ['error', 'warning'].includes(message.type());
      if (isBad) this.wrong.push(`${message.type()}: ${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => this.wrong.push(`exception: ${error.stack}`));
    page.on('response', (response) => {
      if (response.status() >= 400)
        this.wrong.push(`${response.status()}: ${response.request().method()} ${response.url()}`);
    });
    page.on('requestfailed', (request) => {
      const text = request.failure()?.errorText ?? '';
      // Another page was opened, and what the last one asked is not wanted any more.
      if (text !== 'net::ERR_ABORTED') this.wrong.push(`${text}: ${request.url()}`);
    });
  }

  async goto(path) {
    await this.page.goto(`/ui${path}`);
    await this.settled();
  }

  // The page is there, and nothing of it is still to come.
  async settled() {
    await this.page.locator('#page > *').first().waitFor();
    await this.page.waitForFunction(() => {
      const main = document.getElementById('content');
      const isThere = main === null || location.pathname === `/ui${main.dataset.shown}`;
      return isThere && document.querySelector(':not([data-example]) > [aria-label="Loading"], .is-waiting') === null;
    });
  }

  // To another place without loading anew, as a link leads there.
  async follow(path) {
    await this.page.evaluate((to) => {
      history.pushState(null, '', `/ui${to}`);
      dispatchEvent(new PopStateEvent('popstate'));
    }, path);
    await this.settled();
  }

  // As it stands, in another look.
  async turn(look) {
    const {page} = this;
    if (look.scheme !== this.look.scheme) await page.emulateMedia({colorScheme: look.scheme});
    if (look.size !== this.look.size) {
      await page.setViewportSize(look.size);
      await this.point(look);
    }
    this.look = look;
    // Elements that draw themselves at their own width do so in a frame or two.
    await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, {timeout: 10_000}).catch(() => {});
  }

  // With a finger, or with a mouse: styles go by it.
  async point(look) {
    this.devices ??= await this.context.newCDPSession(this.page);
    await this.devices.send('Emulation.setTouchEmulationEnabled', {enabled: look.size === PHONE});
  }

  async shoot(name) {
    await this.page.screenshot({path: join(SHOTS, `${name}-${this.look.name}.png`), fullPage: true});
    // Chromium has forgotten the finger by then.
    await this.point(this.look);
  }

  // Draws from one place to another: with a finger on a phone.
  async drag([fromX, fromY], [toX, toY], before = async () => {}) {
    const STEPS = 5;
    const isTouched = this.look.size === PHONE;
    const {mouse} = this.page;
    if (isTouched) await this.point(this.look);
    const touch = (type, x, y) => this.devices.send('Input.dispatchTouchEvent', {type, touchPoints: type === 'touchEnd' ? [] : [{x, y}]});
    await (isTouched ? touch('touchStart', fromX, fromY) : mouse.move(fromX, fromY).then(() => mouse.down()));
    for (let n = 1; n <= STEPS; n += 1) {
      const [x, y] = [fromX + ((toX - fromX) * n) / STEPS, fromY + ((toY - fromY) * n) / STEPS];
      await (isTouched ? touch('touchMove', x, y) : mouse.move(x, y));
    }
    await before();
    await (isTouched ? touch('touchEnd') : mouse.up());
  }

  // Holds the page to what is true of all of them.
  async check(name, {axe = true, shot = true} = {}) {
    if (shot && areTaken) await this.shoot(name);
    assert.deepEqual(await this.tooWide(), [], `${name}: wider than its place`);
    if (this.look.size === PHONE) assert.deepEqual(await this.tooSmall(), [], `${name}: too small for a finger`);
    assert.deepEqual(await this.sameNames(), [], `${name}: two buttons of one name`);
    if (axe) assert.deepEqual(await this.breaches(axe === true ? {} : axe), [], `${name}: axe`);
    assert.deepEqual(this.wrong, [], name);
  }

  // The whole, and questions that are asked: these may be scrolled down, but not sideways.
  tooWide() {
    return this.page.evaluate(() => {
      const top = document.documentElement;
      const wide = [top, ...document.querySelectorAll('dialog')].filter((one) => one.scrollWidth > one.clientWidth);
      const cut = [...document.querySelectorAll('dialog')].filter((one) => {
        const {left, right, top: above, bottom} = one.getBoundingClientRect();
        return left < 0 || above < 0 || right > innerWidth || bottom > innerHeight;
      });
      return [...wide, ...cut].map((one) => `${one.tagName} ${one.scrollWidth} in ${one.clientWidth} of ${innerWidth}`);
    });
  }

  // Buttons and fields that a finger does not hit; of links in lines of text axe knows which stand too close.
  tooSmall() {
    return this.page.evaluate(() => {
      const all = [...document.querySelectorAll('button, summary, select, textarea, input:not([type=file])')];
      const shown = all.filter((one) => one.checkVisibility({visibilityProperty: true}) && one.closest('.hidden') === null);
      const sizes = shown.map((one) => ({one, box: one.getBoundingClientRect()}));
      const small = sizes.filter(({box}) => box.height < 24 || box.width < 24);
      return small.map(({one, box}) => `${one.outerHTML.slice(0, 120)} ${box.width} x ${box.height}`);
    });
  }

  // Buttons that somebody who is told their names alone cannot tell apart. Those of rows are of their rows, and
  // those of charts and notices do the same in each of them.
  sameNames() {
    return this.page.evaluate(() => {
      const top = document.querySelector('dialog:modal') ?? document.body;
      const all = [...top.querySelectorAll('button:enabled, [role=button]')];
      const shown = all.filter((one) => one.checkVisibility({visibilityProperty: true}) && one.closest('tr, li, .notices, time-chart') === null);
      const nameOf = (one) => (one.getAttribute('aria-label') ?? one.textContent).replaceAll(/\s+/g, ' ').trim();
      const names = shown.map((one) => `${one.closest('[role=group]')?.getAttribute('aria-label') ?? ''} ${nameOf(one)}`.trim());
      return names.filter((one, n) => names.indexOf(one) !== n);
    });
  }

  // Of the whole document, or within some elements.
  async breaches({within = null} = {}) {
    const has = await this.page.evaluate(() => 'axe' in window);
    if (!has) await this.page.evaluate(AXE);
    const found = await this.page.evaluate((part) => {
      const context = part === null ? document : {include: [...document.querySelectorAll(part)]};
      // How large what is touched has to be is of WCAG 2.2, which axe leaves out by itself.
      return window.axe.run(context, {resultTypes: ['violations'], preload: false, rules: {'target-size': {enabled: true}}});
    }, within);
    const all = found.violations.flatMap(({id, nodes}) => nodes.map((node) => ({id, ...node})));
    return all.filter((one) => !isCovered(one)).map(({id, html, failureSummary}) => `${id}: ${html} ${failureSummary}`);
  }

  // What goes wrong from here on is meant; returned are those that went wrong.
  forgiven() {
    return this.wrong.splice(0);
  }

  close() {
    return this.context.close();
  }
}
