/**
 * The bar above and the rail at the left.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {setTheme, theme} from './theme.js';
import {PAGES} from './pages.js';
import {asset, href} from './place.js';
import {INTERVALS} from './poll.js';

/** @typedef {import('./shell.js').Shell} Shell */

/** @param {Shell} shell */
export function bar(shell) {
  return html`<header class="bar">
    <button type="button" class="button is-quiet bar-menu" aria-expanded=${shell.isRailOpen ? 'true' : 'false'}
      aria-controls="rail" @click=${() => shell.openRail(!shell.isRailOpen)}>Menu</button>
    <a class="brand" href=${href('/overview')} aria-label="Leveret, overview">
      <img src=${asset('mark.svg')} alt=""><span>Leveret</span>
    </a>
    <span class="bar-cluster" title="The name of the cluster"><bdi>${shell.cluster}</bdi></span>
    <span class="bar-space"></span>
    <button type="button" class="bar-find" @click=${() => shell.palette.open()}>Find <kbd>Ctrl K</kbd></button>
    ${live(shell)}
    <label class="bar-interval"><span class="hidden">How often it is updated</span>${pace(shell)}</label>
    ${person(shell)}
  </header>`;
}

/** @param {Shell} shell */
function live({poll}) {
  const [state, text] = stateOf(poll);
  return html`<span class=${`live ${state}`} role="status"><span class="live-dot"></span>${text}</span>`;
}

/** @param {Shell} shell */
function pace({poll}) {
  return html`<select .value=${String(poll.interval)} @change=${(/** @type {Event} */ event) =>
      poll.setInterval(Number(/** @type {HTMLSelectElement} */ (event.currentTarget).value))}>
      ${each(
        INTERVALS,
        (seconds) => seconds,
        (seconds) => html`<option value=${seconds}
        selected=${seconds === poll.interval}>${seconds === 0 ? 'off' : `every ${seconds} s`}</option>`,
      )}
    </select>`;
}

/**
 * @param {import('./poll.js').Poll} poll
 * @returns {[string, string]}
 */
function stateOf(poll) {
  if (poll.lostSince !== null) return ['is-lost', 'No connection'];
  return poll.interval === 0 ? ['is-paused', 'Paused'] : ['is-live', 'Live'];
}

/** @param {Shell} shell */
function person(shell) {
  const {session} = shell;
  return html`<details class="menu">
    <summary><bdi>${session.name}</bdi></summary>
    <div class="menu-panel">
      <p><strong><bdi>${session.name}</bdi></strong><br>${session.tags.join(', ')}</p>
      <label>Theme
        <select @change=${(/** @type {Event} */ event) => {
          const value = /** @type {HTMLSelectElement} */ (event.currentTarget).value;
          setTheme(/** @type {import('./theme.js').Theme} */ (value));
          shell.draw();
        }}>
          ${each(
            ['system', 'light', 'dark'],
            (one) => one,
            (one) => html`<option value=${one}
            selected=${theme() === one}>${one}</option>`,
          )}
        </select>
      </label>
      <label class="menu-interval">How often it is updated ${pace(shell)}</label>
      <label class="check">Read only
        <input type="checkbox" .checked=${session.isReadOnly} @change=${(/** @type {Event} */ event) =>
          shell.setReadOnly(/** @type {HTMLInputElement} */ (event.currentTarget).checked)}>
      </label>
      <button type="button" class="button" @click=${() => shell.signOut()}>Sign out</button>
    </div>
  </details>`;
}

/** @param {Shell} shell */
export function rail(shell) {
  const shown = PAGES.filter(({nav, needs}) => nav !== undefined && (needs === undefined || shell.session.is(needs)));
  const groups = [...new Set(shown.map(({group}) => group ?? ''))];
  return html`<nav id="rail" class=${shell.isRailOpen ? 'rail is-open' : 'rail'} aria-label="Pages">
    ${each(
      groups,
      (group) => group,
      (group) => html`<div>
      ${group === '' ? null : html`<h2>${group}</h2>`}
      <ul>${each(
        shown.filter((entry) => (entry.group ?? '') === group),
        ({path}) => path,
        ({path, nav}) => html`<li>
        <a href=${href(path)} aria-current=${isWithin(shell.shown, path) ? 'page' : null}>${nav}</a>
      </li>`,
      )}</ul>
    </div>`,
    )}
  </nav>`;
}

/**
 * @param {string} shown
 * @param {string} path
 * @returns {boolean} Whether it is that page, or one of the things it lists.
 */
function isWithin(shown, path) {
  return shown === path || shown.startsWith(`${path}/`);
}
