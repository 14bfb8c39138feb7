/**
 * What comes as it happens: the events of a stream, kept in a bounded number, and shown newest first.
 *
 * @module
 */

import {jsonOr} from './json.js';
import {PREFIX} from './place.js';

/** So many are kept. */
const KEPT = 2000;
/** Drawn at most so often. */
const DRAWN_MS = 150;

/** @typedef {{id: number, at: number, kind: string, text: string, data: any}} Line */

/** See the module documentation. */
export class Lines {
  /**
   * @param {(kind: string, data: any) => string} told
   * @param {() => void} changed
   */
  constructor(told, changed) {
    this.told = told;
    this.changed = changed;
    /** @type {Line[]} */
    this.all = [];
    this.last = 0;
    this.lost = 0;
    this.isHeld = false;
    /** @type {'opening' | 'open' | 'closed'} */
    this.state = 'opening';
    this.timer = 0;
    /** @type {EventSource | null} */
    this.source = null;
  }

  /**
   * @param {string} path Under `/api/`.
   * @param {string[]} kinds Names of events; all others are passed over.
   */
  open(path, kinds) {
    this.close();
    const source = new EventSource(`${PREFIX}/api/${path}`);
    this.source = source;
    source.addEventListener('open', () => this.is('open'));
    source.addEventListener('error', () => this.is(source.readyState === EventSource.CLOSED ? 'closed' : 'opening'));
    source.addEventListener('lost', (event) => {
      this.lost += jsonOr(/** @type {MessageEvent} */ (event).data, {count: 0}).count;
      this.draw();
    });
    for (const kind of kinds)
      source.addEventListener(kind, (event) => this.add(kind, /** @type {MessageEvent} */ (event).data));
  }

  /** @param {'opening' | 'open' | 'closed'} state */
  is(state) {
    this.state = state;
    this.draw();
  }

  /**
   * @param {string} kind
   * @param {string} data
   */
  add(kind, data) {
    if (this.isHeld) return;
    this.last += 1;
    const read = jsonOr(data, data);
    this.all.unshift({id: this.last, at: Date.now(), kind, text: this.told(kind, read), data: read});
    if (this.all.length > KEPT) this.all.length = KEPT;
    this.draw();
  }

  draw() {
    if (this.timer !== 0) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.changed();
    }, DRAWN_MS);
  }

  close() {
    this.source?.close();
    this.source = null;
  }
}
