/**
 * What a policy that is typed would match, and what it would do to others: shown while it is typed.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {jsonOr} from '../app/json.js';
import {finds} from '../app/permission-rules.js';
import {count} from '../app/number.js';
import {badge, name} from '../app/ui.js';
import {LOOKED_MAX, matches} from './policy-matches.js';
import {effectsOf, isFor, told, typeOf} from './policy-rules.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {import('./policy-matches.js').Found} Found */
/** @typedef {import('./policy-rules.js').Policy} Policy */
/** @typedef {import('./policy-rules.js').Thing} Thing */
/** @typedef {{name: string, vhost: string, pattern: string, of: string, priority: string, definition: string}} Typed As it stands in the fields. */

/** After the last key the broker is asked. */
const PAUSE_MS = 200;
/** So many names are shown of each kind. */
const SHOWN = 6;
/** These decide what it matches; the others only what that means. */
const ASKED = new Set(['vhost', 'pattern', 'of']);

/** See the module documentation. */
export class Preview {
  /**
   * @param {Context} ctx
   * @param {import('./policy-matches.js').Kind} kind
   * @param {Typed} state
   * @param {boolean} isNew
   */
  constructor(ctx, kind, state, isNew) {
    this.ctx = ctx;
    this.kind = kind;
    this.state = state;
    this.isNew = isNew;
    this.isBegun = false;
    this.timer = 0;
    this.last = 0;
    this.isDone = false;
    /** @type {Found[] | null} */
    this.found = null;
  }

  /** @param {() => void} redraw What is changed matches something already. */
  begin(redraw) {
    if (this.isBegun) return;
    this.isBegun = true;
    if (this.state.pattern !== '') void this.now(redraw);
  }

  /**
   * @param {string} field
   * @param {() => void} redraw
   */
  typed(field, redraw) {
    if (!ASKED.has(field)) return redraw();
    clearTimeout(this.timer);
    // What was asked with other words is not wanted any more.
    this.last += 1;
    this.timer = window.setTimeout(() => this.now(redraw), PAUSE_MS);
    return undefined;
  }

  /** @param {() => void} redraw */
  async now(redraw) {
    this.last += 1;
    const own = this.last;
    const isWanted = () => own === this.last && this.ctx.state.isOver !== true;
    const {vhost, pattern, of} = this.state;
    if (pattern === '') {
      this.found = null;
      return redraw();
    }
    const show = (/** @type {Found[]} */ found, /** @type {boolean} */ isDone) => {
      if (!isWanted()) return;
      this.found = found;
      this.isDone = isDone;
      redraw();
    };
    const all = await matches(this.ctx, this.kind, {vhost, pattern, of}, isWanted, (found) => show(found, false)).catch(() => null);
    return show(all ?? this.found ?? [], true);
  }

  /** @returns {Policy} */
  get draft() {
    const {name: called, vhost, pattern, of, priority, definition} = this.state;
    return {name: called, vhost, pattern, 'apply-to': of, priority: Number(priority) || 0, definition: objectOf(definition)};
  }

  /** @returns {Policy[]} */
  get policies() {
    const {data} = this.ctx;
    return (this.kind === 'policies' ? data.policies : data.operator) ?? [];
  }

  view() {
    const {found, draft, policies} = this;
    const replaced = this.isNew && policies.some(({name: called, vhost}) => called === draft.name && vhost === draft.vhost)
      ? html`<p class="preview">${badge('Replaces', 'warn')} ${name(draft.name)} is there already: it is replaced as a whole.</p>` : null;
    if (found === null) return html`<p class="preview">What it matches is shown here.</p>${replaced}`;
    if (finds(draft.pattern, '') === null && this.isDone && found.every(({total}) => total === 0)) {
      return html`<p class="preview">It matches nothing: this is no regular expression, perhaps.</p>${replaced}`;
    }
    const {effects, matched, free} = effectsOf(draft, found.flatMap(({things}) => things), policies);
    return html`${each(found, ({kind}) => kind, (one) => this.listed(one, draft))}
      ${replaced}
      ${effects.length === 0
        ? matched.length === 0 ? null : html`<p class="preview">No other policy counts for ${matched.length === 1 ? 'it' : 'any of them'}.</p>`
        : html`<ul class="preview">${each(effects, ({rival}) => rival, (one) => effect(one, draft, matched.length))}
          ${free === 0 ? null : html`<li>No other policy counts for the other ${free === 1 ? 'one' : count(free)}.</li>`}</ul>`}`;
  }

  /**
   * @param {Found} found
   * @param {Policy} draft
   */
  listed({kind, total, things}, draft) {
    const fits = things.filter((one) => isFor(draft, one));
    const type = kind === 'queues' ? typeOf(draft['apply-to']) : undefined;
    const noun = `${type === undefined ? '' : `${type} `}${fits.length === 1 ? kind.slice(0, -1) : kind}`;
    const among = total > LOOKED_MAX ? `of the first ${count(LOOKED_MAX)} of ${count(total)} with it in their names` : this.isDone ? '' : 'so far';
    return html`<p class="preview"><strong>${count(fits.length)} ${noun}</strong>${among === '' ? null : html` <span>${among}</span>`}
      ${each(fits.slice(0, SHOWN), (one) => one.name, (one) => html`<span><code>${name(one.name)}</code>${one.policy ? html` <small>now ${name(one.policy)}</small>` : null}</span>`)}
      ${fits.length > SHOWN ? html`<span>and ${count(fits.length - SHOWN)} more</span>` : null}</p>`;
  }
}

/**
 * @param {import('./policy-rules.js').Effect} one
 * @param {Policy} draft
 * @param {number} all
 */
function effect(one, draft, all) {
  const {word, tone, why} = told(one, draft);
  const example = html`<code>${name(one.example)}</code>`;
  const where = one.count === 1 ? html`on ${example}` : html`on ${one.count === all ? 'all' : ''} ${count(one.count)}, such as ${example}`;
  return html`<li>${badge(word, tone)} ${name(one.rival)} ${where}: ${why}.</li>`;
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>} What it sets, as far as that can be read yet.
 */
function objectOf(text) {
  const value = jsonOr(text, null);
  return typeof value === 'object' && value !== null ? value : {};
}
