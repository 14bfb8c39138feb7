/**
 * What is shown where there is no page: unknown addresses, pages for others, parts that did not come.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {href} from './place.js';

/** @param {string} path */
export function notFound(path) {
  return html`<h1>There is no such page</h1>
    <div class="empty"><p>Nothing is at <bdi><code>${path}</code></bdi>.</p>
    <a class="button" href=${href('/overview')}>To the overview</a></div>`;
}

/**
 * @param {string} role
 * @param {import('./session.js').Session} session
 */
export function notForYou(role, session) {
  return html`<h1>Not for this user</h1>
    <div class="empty"><p>This page is for users with the tag ${role}; <bdi>${session.name}</bdi> has
      ${session.tags.join(', ')}. An administrator can add it.</p></div>`;
}

/**
 * @param {string} vhost
 * @param {import('./session.js').Session} session
 */
export function noEntry(vhost, session) {
  return html`<h1>Not for this user</h1>
    <div class="empty"><p><bdi>${session.name}</bdi> has no permissions in the vhost <bdi>${vhost}</bdi>: what is in it is not told.
      An administrator can grant them.</p></div>`;
}

export function failed() {
  return html`<h1>This page did not come</h1>
    <div class="empty"><p>The broker may have been updated since this page was opened.</p>
    <button type="button" class="button is-main" @click=${() => location.reload()}>Load again</button></div>`;
}
