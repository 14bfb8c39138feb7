/**
 * What was done, or did not work, said at the edge of the page until somebody has read it.
 *
 * @module
 */

import {each, html} from '../parts/html.js';

/** Good news goes by itself after so long. */
const SHOWN_MS = 6000;
/** At most so many at a time. */
const MOST = 4;

/** @typedef {{id: number, text: string, tone: 'good' | 'bad'}} Notice */

/** See the module documentation. */
export class Notices {
  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Notice[]} */
    this.all = [];
    this.last = 0;
  }

  /**
   * @param {string} text
   * @param {'good' | 'bad'} [tone]
   */
  say(text, tone = 'good') {
    this.last += 1;
    const id = this.last;
    this.all = [...this.all.slice(1 - MOST), {id, text, tone}];
    this.changed();
    if (tone === 'good') setTimeout(() => this.drop(id), SHOWN_MS);
  }

  /** @param {number} id */
  drop(id) {
    this.all = this.all.filter((notice) => notice.id !== id);
    this.changed();
  }

  view() {
    return html`<div class="notices" role="log" aria-live="polite" aria-label="What happened">
      ${each(
        this.all,
        ({id}) => id,
        ({id, text, tone}) => html`<div class=${`notice is-${tone}`}>
        <p>${text}</p>
        <button type="button" class="button is-quiet" @click=${() => this.drop(id)}>Dismiss</button>
      </div>`,
      )}
    </div>`;
  }
}
