/**
 * The address bar: which path is shown, by the History API. Links are followed without loading anew.
 *
 * @module
 */

import {changedQuery} from './route.js';

/** See the module documentation. */
export class Router {
  /**
   * @param {string} base What stands before every path, such as `/ui`.
   * @param {() => void} changed Called after each change of the address.
   */
  constructor(base, changed) {
    this.base = base;
    this.changed = changed;
  }

  start() {
    addEventListener('popstate', () => this.changed());
    document.addEventListener('click', (event) => this.follow(event));
  }

  /** @returns {string} Without the base and without a query. */
  get path() {
    const path = location.pathname;
    return path.startsWith(this.base) ? path.slice(this.base.length) || '/' : '/';
  }

  /** @returns {URLSearchParams} */
  get query() {
    return new URLSearchParams(location.search);
  }

  /**
   * @param {string} path With a query, perhaps, and without the base.
   * @param {{replace?: boolean}} [how]
   */
  go(path, {replace = false} = {}) {
    const url = this.base + path;
    if (replace) history.replaceState(null, '', url);
    else history.pushState(null, '', url);
    this.changed();
  }

  /**
   * @param {Record<string, string | number | boolean | null | undefined>} changes
   * @param {{push?: boolean}} [how] Whether Back undoes it.
   */
  setQuery(changes, {push = false} = {}) {
    const query = changedQuery(location.search, changes);
    if (query === location.search) return;
    this.go(this.path + query, {replace: !push});
  }

  /** @param {MouseEvent} event */
  follow(event) {
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!isPlain || event.defaultPrevented || !(event.target instanceof Element)) return;
    // Links in drawings are links as well.
    const link = event.target.closest('a[href]');
    if (link === null || link.hasAttribute('target') || link.hasAttribute('download')) return;
    const to = new URL(link.getAttribute('href') ?? '', location.href);
    if (to.origin !== location.origin || !to.pathname.startsWith(`${this.base}/`)) return;
    if (to.hash !== '' && to.pathname === location.pathname) return;
    event.preventDefault();
    this.go(to.pathname.slice(this.base.length) + to.search);
  }
}
