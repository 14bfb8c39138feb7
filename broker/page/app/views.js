/**
 * Views: addresses of a list that somebody keeps under a name, in this browser. Nothing of them is secret: a
 * view is what stands in the address. Every list has its own: a page puts the menu into its toolbar, at the end.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {jsonOr} from './json.js';
import {remember, remembered} from './theme.js';

/** @typedef {import('./types.js').Context} Context */
/** @typedef {{name: string, query: string}} View */

/** So many are kept of a list. */
const MOST = 30;

/**
 * @param {string | null} text What is kept.
 * @returns {View[]} Without what is not one.
 */
export function read(text) {
  const kept = jsonOr(text, []);
  const isView = (/** @type {any} */ one) => typeof one?.name === 'string' && typeof one?.query === 'string';
  return Array.isArray(kept) ? kept.filter(isView).map(({name, query}) => ({name, query})).slice(0, MOST) : [];
}

/**
 * @param {View[]} before
 * @param {View} view
 * @returns {View[]} With this one, in the place of another with its name.
 */
export function kept(before, view) {
  const others = before.filter(({name}) => name !== view.name);
  return [...others, view].slice(-MOST);
}

/**
 * A menu of them.
 *
 * @param {Context} ctx
 * @param {'queues' | 'exchanges' | 'consumers' | 'connections' | 'channels'} list
 */
export function views(ctx, list) {
  const key = `leveret.views.${list}`;
  const all = read(remembered(key));
  const now = ctx.query.toString();
  const keep = (/** @type {View[]} */ next) => {
    remember(key, next.length === 0 ? null : JSON.stringify(next));
    ctx.draw();
  };
  const save = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const called = String(new FormData(form).get('view')).trim();
    if (called === '') return;
    keep(kept(all, {name: called, query: now}));
    form.reset();
  };
  return html`<details class="menu choices">
    <summary>Views</summary>
    <div class="menu-panel" role="group" aria-label="Views">
      ${all.length === 0 ? html`<p class="quiet">A view keeps what the address says, such as filter and order, under a name in this browser.</p>` : null}
      ${each(all, ({name}) => name, ({name, query}) => html`<div class="view">
        <a href=${query === '' ? location.pathname : `?${query}`} aria-current=${query === now ? 'true' : null}
          @click=${(/** @type {Event} */ event) => /** @type {HTMLElement} */ (event.currentTarget).closest('details')?.removeAttribute('open')}><bdi>${name}</bdi></a>
        <button type="button" class="link" aria-label=${`Forget the view ${name}`} @click=${() => keep(all.filter((one) => one.name !== name))}>Forget</button>
      </div>`)}
      <form class="row" @submit=${save}>
        <input class="filter" name="view" aria-label="Name of the view" placeholder="Name of the view" required autocomplete="off" maxlength="80">
        <button class="button">Keep</button>
      </form>
    </div>
  </details>`;
}
