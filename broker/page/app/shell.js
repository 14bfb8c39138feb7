/**
 * What is around every page, and which page is shown in it.
 *
 * @module
 */

import {html, render} from '../parts/html.js';
import {match} from '../parts/route.js';
import {Router} from '../parts/router.js';
import {ApiError, get, request} from './api.js';
import {Aside} from './aside.js';
import {bar, rail} from './frame.js';
import {Notices} from './notices.js';
import {PAGES} from './pages.js';
import {Palette} from './palette.js';
import {BASE} from './place.js';
import {Poll} from './poll.js';
import {leave} from './session.js';
import {failed, noEntry, notFound, notForYou} from './states.js';
import {ago} from './time.js';

/** @typedef {import('./types.js').Context} Context */
/** @typedef {import('./types.js').Page} Page */
/** @typedef {import('./types.js').Entry} Entry */

/** What somebody may do is asked again after so long, and when it was part of what was changed. */
const LEARNS_EVERY_MS = 30_000;
const OF_RIGHTS = /^(vhosts|permissions|topic-permissions|users|operation\/definitions)\b/;

/** See the module documentation. */
export class Shell {
  /**
   * @param {import('./session.js').Session} session
   * @param {HTMLElement} top
   * @param {(why: string) => void} ended Called when nobody is signed in any more.
   */
  constructor(session, top, ended) {
    this.session = session;
    this.top = top;
    this.ended = ended;
    this.isOver = false;
    this.learnedAt = 0;
    this.isRailOpen = false;
    this.cluster = '';
    this.router = new Router(BASE, () => this.moved());
    this.notices = new Notices(() => this.draw());
    this.poll = new Poll(
      () => this.questions(),
      () => this.polled(),
    );
    this.aside = new Aside();
    this.palette = new Palette(session, (path) => this.router.go(path));
    /** @type {Entry | null} */
    this.entry = null;
    /** @type {Page | null} */
    this.page = null;
    /** @type {unknown} What is shown if there is no page. */
    this.instead = null;
    /** @type {Record<string, string>} */
    this.params = {};
    /** @type {Record<string, any>} */
    this.state = {};
    /** @type {(() => void) | void} */
    this.end = undefined;
    this.shown = '';
    this.isDrawing = false;
  }

  async start() {
    await this.learn();
    if (this.isOver) return;
    this.router.start();
    this.poll.start();
    document.addEventListener('keydown', this.pressed);
    document.addEventListener('click', this.clicked);
    this.aside.start();
    get('cluster-name').then(
      ({name}) => {
        this.cluster = name;
        this.draw();
      },
      () => {},
    );
    this.moved();
  }

  /** What may be done may be another now. */
  async learn() {
    this.learnedAt = Date.now();
    await this.session.learn();
    this.draw();
  }

  stop() {
    this.isOver = true;
    this.end?.();
    this.poll.interval = 0;
    clearTimeout(this.poll.timer);
    this.poll.running?.abort();
    document.removeEventListener('keydown', this.pressed);
    document.removeEventListener('click', this.clicked);
    this.aside.stop();
    this.palette.close();
  }

  /** The address is another. */
  async moved() {
    if (this.isOver) return;
    this.isRailOpen = false;
    if (this.router.path === this.shown) {
      // The same page with another query: what it asks may be another.
      this.draw();
      this.poll.now();
      return;
    }
    this.shown = this.router.path;
    this.end?.();
    this.end = undefined;
    const path = this.shown;
    this.entry = null;
    for (const entry of PAGES) {
      const params = match(entry.path, path);
      if (params === null) continue;
      this.entry = entry;
      this.params = params;
      break;
    }
    await this.open(this.entry, path);
  }

  /**
   * @param {Entry | null} entry
   * @param {string} path
   */
  async open(entry, path) {
    this.page = null;
    this.state = {};
    this.instead = null;
    if (path === '/') return this.router.go('/overview', {replace: true});
    if (entry === null) {
      this.instead = notFound(path);
    } else if (entry.needs && !this.session.is(entry.needs)) {
      this.instead = notForYou(entry.needs, this.session);
    } else if (entry.within && !this.session.may(entry.within.act, {vhost: this.params[entry.within.param]})) {
      this.instead = noEntry(this.params[entry.within.param], this.session);
    } else {
      const page = await entry.load().then(
        ({default: page}) => page,
        () => null,
      );
      if (this.shown !== path || this.isOver) return;
      this.page = page;
      if (page === null) this.instead = failed();
      else this.end = page.start?.(this.context());
    }
    this.poll.reset();
    this.draw();
    document.getElementById('content')?.focus({preventScroll: true});
    scrollTo(0, 0);
  }

  /** @returns {import('./poll.js').Questions} */
  questions() {
    return this.page === null ? {} : this.page.ask(this.context());
  }

  polled() {
    if (Date.now() - this.learnedAt > LEARNS_EVERY_MS) void this.learn();
    const hasEnded = Object.values(this.poll.errors).some((error) => error?.kind === 'ended');
    if (hasEnded && !this.isOver) this.ended('The session is over. Sign in to go on where you were.');
    else this.draw();
  }

  /** @returns {Context} */
  context() {
    const {router, poll, session, params, state} = this;
    return {
      params,
      query: router.query,
      setQuery: (changes, how) => router.setQuery(changes, how),
      go: (path) => router.go(path),
      session,
      data: poll.data,
      errors: poll.errors,
      state,
      draw: () => this.draw(),
      refresh: () => void poll.now(),
      hold: () => poll.hold(),
      act: (method, path, options) => this.act(method, path, options),
      change: (method, path, options) => this.change(method, path, options),
      fetch: (path) => get(path),
      say: (text, tone) => this.notices.say(text, tone),
      now: Date.now(),
      lostSince: poll.lostSince,
    };
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {import('./types.js').ActOptions} [options]
   */
  async act(method, path, options = {}) {
    try {
      return await this.send(method, path, options);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.kind !== 'ended') this.notices.say(`${error.reason} ${error.advice}`, 'bad');
      return undefined;
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {import('./types.js').ActOptions} [options]
   * @returns {Promise<ApiError | null>}
   */
  async change(method, path, options = {}) {
    try {
      await this.send(method, path, options);
      return null;
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {import('./types.js').ActOptions} options
   */
  async send(method, path, {body, headers, done, go}) {
    // What is gone afterwards is not asked for meanwhile.
    if (go !== undefined) this.poll.hold();
    try {
      const answer = await request(method, path, {body, headers});
      if (method !== 'GET' && OF_RIGHTS.test(path)) await this.learn();
      if (done !== undefined) this.notices.say(done);
      if (go !== undefined) this.router.go(go);
      else if (method !== 'GET') this.poll.now();
      return answer;
    } catch (error) {
      if (go !== undefined) this.poll.now();
      if (error instanceof ApiError && error.kind === 'ended') this.ended('The session is over. Nothing was changed.');
      if (error instanceof ApiError && error.kind === 'refused') void this.learn();
      throw error;
    }
  }

  /** @param {boolean} isReadOnly */
  setReadOnly(isReadOnly) {
    this.session.setReadOnly(isReadOnly);
    this.draw();
  }

  async signOut() {
    try {
      await leave();
      this.ended('You are signed out.');
    } catch (error) {
      if (error instanceof ApiError) this.notices.say(`${error.reason} ${error.advice}`, 'bad');
    }
  }

  pressed = (/** @type {KeyboardEvent} */ event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      this.palette.open();
    } else if (event.key === 'Escape') {
      closeMenus(null);
      if (this.isRailOpen) this.openRail(false);
    }
  };

  clicked = (/** @type {MouseEvent} */ event) => {
    closeMenus(event.target instanceof Node ? event.target : null);
  };

  /** @param {boolean} isOpen */
  openRail(isOpen) {
    this.isRailOpen = isOpen;
    this.draw();
  }

  /** Draws once, however often it is asked for in one turn. */
  draw() {
    if (this.isDrawing || this.isOver) return;
    this.isDrawing = true;
    queueMicrotask(() => {
      this.isDrawing = false;
      if (!this.isOver) this.drawNow();
    });
  }

  drawNow() {
    const {page} = this;
    const context = this.context();
    const title = page?.title(context) ?? 'Leveret';
    document.title = `${title} · ${this.cluster || 'Leveret'}`;
    const isLost = this.poll.lostSince !== null;
    render(
      html`<a class="skip" href="#content">Skip to the content</a>
        <div class=${isLost ? 'shell is-lost' : 'shell'}>
          ${bar(this)}
          ${rail(this)}
          <main class="main" id="content" tabindex="-1" data-shown=${page === null && this.instead === null ? null : this.shown}>
            ${this.lost(context)}
            <div class="page">
              ${page === null || page.hasOwnHead ? null : html`<header class="page-head"><h1><bdi>${title}</bdi></h1></header>`}
              ${page === null ? this.instead : page.view(context)}
            </div>
          </main>
        </div>
        ${this.notices.view()}`,
      this.top,
    );
    this.aside.drawn(this.top);
  }

  /** @param {Context} context */
  lost(context) {
    if (context.lostSince === null) return null;
    const at = this.poll.answeredAt;
    return html`<div class="lost" role="alert">
      <strong>The broker does not answer.</strong>
      <span>${at === null ? '' : `What you see is from ${ago(at, context.now)}. `}It is tried again by itself.</span>
      <button type="button" class="link" @click=${() => this.poll.now()}>Try now</button>
    </div>`;
  }
}

/** @param {Node | null} target Menus with this in them stay open. */
function closeMenus(target) {
  // What was clicked in a menu may be gone by now.
  if (target !== null && !target.isConnected) return;
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (target === null || !menu.contains(target)) menu.removeAttribute('open');
  }
}
