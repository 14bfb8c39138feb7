/**
 * Ctrl-K: to any page, queue, exchange, connection, user or vhost, by a part of its name.
 *
 * @module
 */

import {each, html, render} from '../parts/html.js';
import {get} from './api.js';
import {PAGES} from './pages.js';
import {build} from '../parts/route.js';
import {api} from './place.js';

/** After the last key it is waited for so long before the broker is asked. */
const PAUSE_MS = 120;
const FOUND_MAX = 8;

/** @typedef {{name: string, kind: string, path: string}} Found */

/**
 * What can be found: where it is listed, and which page shows one.
 *
 * @type {{kind: string, list: string, page: string, needs?: import('./session.js').Role, columns: string,
 *   name: (row: any) => string, params: (row: any) => Record<string, string>, isPaged: boolean}[]}
 */
const KINDS = [
  {
    kind: 'queue',
    list: 'queues',
    page: '/queues/:vhost/:name',
    columns: 'name,vhost',
    isPaged: true,
    name: ofVhost,
    params: (row) => row,
  },
  {
    kind: 'exchange',
    list: 'exchanges',
    page: '/exchanges/:vhost/:name',
    columns: 'name,vhost',
    isPaged: true,
    name: ofVhost,
    params: (row) => ({...row, name: row.name === '' ? 'amq.default' : row.name}),
  },
  {
    kind: 'connection',
    list: 'connections',
    page: '/connections/:name',
    columns: 'name',
    isPaged: true,
    name: (row) => row.name,
    params: (row) => row,
  },
  {
    kind: 'user',
    list: 'users',
    page: '/users/:name',
    needs: 'administrator',
    columns: 'name',
    isPaged: true,
    name: (row) => row.name,
    params: (row) => row,
  },
  {
    kind: 'vhost',
    list: 'vhosts',
    page: '/vhosts/:name',
    columns: 'name',
    isPaged: true,
    name: (row) => row.name,
    params: (row) => row,
  },
];

/**
 * @param {{name: string, vhost: string}} row
 * @returns {string}
 */
function ofVhost({name, vhost}) {
  const shown = name === '' ? '(default exchange)' : name;
  return vhost === '/' ? shown : `${shown}  ·  ${vhost}`;
}

/** See the module documentation. */
export class Palette {
  /**
   * @param {import('./session.js').Session} session
   * @param {(path: string) => void} go
   */
  constructor(session, go) {
    this.session = session;
    this.go = go;
    /** @type {HTMLDialogElement | null} */
    this.dialog = null;
    this.text = '';
    /** @type {Found[]} */
    this.found = [];
    this.picked = 0;
    this.timer = 0;
    /** @type {AbortController | null} */
    this.asking = null;
  }

  open() {
    if (this.dialog !== null) return;
    const dialog = document.createElement('dialog');
    dialog.className = 'palette';
    dialog.setAttribute('aria-label', 'Find');
    dialog.addEventListener('close', () => {
      dialog.remove();
      this.dialog = null;
      this.asking?.abort();
    });
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog) dialog.close();
    });
    this.dialog = dialog;
    this.text = '';
    this.picked = 0;
    this.found = this.pages('');
    this.draw();
    document.body.append(dialog);
    dialog.showModal();
  }

  close() {
    this.dialog?.close();
  }

  /**
   * @param {string} text
   * @returns {Found[]}
   */
  pages(text) {
    const wanted = text.toLowerCase();
    return PAGES.filter(({nav, needs}) => nav !== undefined && (needs === undefined || this.session.is(needs)))
      .filter(({nav}) => String(nav).toLowerCase().includes(wanted))
      .map(({nav, path}) => ({name: String(nav), kind: 'page', path}));
  }

  /** @param {string} text */
  typed(text) {
    this.text = text;
    this.picked = 0;
    this.found = this.pages(text);
    this.draw();
    clearTimeout(this.timer);
    this.asking?.abort();
    if (text !== '') this.timer = window.setTimeout(() => this.ask(text), PAUSE_MS);
  }

  /** @param {string} text */
  async ask(text) {
    const asking = new AbortController();
    this.asking = asking;
    const patterns = new Set(PAGES.map(({path}) => path));
    const kinds = KINDS.filter(
      ({page, needs}) => patterns.has(page) && (needs === undefined || this.session.is(needs)),
    );
    const lists = await Promise.all(kinds.map((kind) => listed(kind, text, asking.signal)));
    if (asking.signal.aborted) return;
    this.found = [...this.pages(text), ...lists.flat()];
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (by !== undefined) {
      event.preventDefault();
      this.picked = Math.max(0, Math.min(this.found.length - 1, this.picked + by));
      this.draw();
      document.getElementById(`found-${this.picked}`)?.scrollIntoView({block: 'nearest'});
    } else if (event.key === 'Enter' && this.found[this.picked] !== undefined) {
      event.preventDefault();
      this.choose(this.found[this.picked]);
    }
  }

  /** @param {Found} found */
  choose(found) {
    this.close();
    this.go(found.path);
  }

  draw() {
    if (this.dialog === null) return;
    const {found, picked} = this;
    render(
      html`<input type="text" role="combobox" aria-label="Find" aria-expanded="true" aria-controls="found"
          aria-activedescendant=${found.length === 0 ? null : `found-${picked}`} aria-autocomplete="list"
          placeholder="A part of a name" autocomplete="off" spellcheck="false"
          @input=${(/** @type {Event} */ event) => this.typed(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
          @keydown=${(/** @type {KeyboardEvent} */ event) => this.pressed(event)}>
        <ul id="found" role="listbox" aria-label="What was found">
          ${each(
            found,
            ({kind, path}) => `${kind} ${path}`,
            (one, n) => html`<li id=${`found-${n}`} role="option"
            aria-selected=${n === picked ? 'true' : 'false'} @click=${() => this.choose(one)}>
            <span class="palette-name" title=${one.name}><bdi>${one.name}</bdi></span>
            <span class="palette-kind">${one.kind}</span>
          </li>`,
          )}
        </ul>
        <div class="palette-foot" role="status">${
          found.length === 0
            ? 'Nothing has this in its name.'
            : html`<kbd>↑</kbd> <kbd>↓</kbd> to choose, <kbd>Enter</kbd> to go there`
        }</div>`,
      this.dialog,
    );
  }
}

/**
 * @param {typeof KINDS[number]} kind
 * @param {string} text
 * @param {AbortSignal} signal
 * @returns {Promise<Found[]>}
 */
async function listed({kind, list, page, columns, name, params}, text, signal) {
  try {
    const {items} = await get(api(list, {}, {name: text, page: 1, page_size: FOUND_MAX, columns}), signal);
    return items.map((/** @type {any} */ row) => ({kind, name: name(row), path: build(page, params(row))}));
  } catch {
    // What cannot be asked now is not found now.
    return [];
  }
}
