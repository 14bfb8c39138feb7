/**
 * Where this page is, and where its parts and the API are: all behind the prefix that the broker has.
 *
 * @module
 */

import {build, changedQuery} from '../parts/route.js';

/** The path before `/ui`, `/api` and `/page`: empty, or such as `/rabbit`. */
export const PREFIX = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '');

/** What stands before every address of the page. */
export const BASE = `${PREFIX}/ui`;

/**
 * @param {string} pattern `/queues/:vhost/:name`
 * @param {Record<string, string>} [params]
 * @param {Record<string, string | number | boolean | null | undefined>} [query]
 * @returns {string} For `href`.
 */
export function href(pattern, params = {}, query = {}) {
  return BASE + build(pattern, params) + changedQuery('', query);
}

/**
 * @param {string} pattern `queues/:vhost/:name`
 * @param {Record<string, string>} [params]
 * @param {Record<string, string | number | boolean | null | undefined>} [query]
 * @returns {string} A path under `/api/`, as `ask` and `act` take it.
 */
export function api(pattern, params = {}, query = {}) {
  return build(pattern, params).slice(1) + changedQuery('', query);
}

/**
 * @param {string} name
 * @returns {string} The address of a file of the page.
 */
export function asset(name) {
  return new URL(`../${name}`, import.meta.url).pathname;
}
