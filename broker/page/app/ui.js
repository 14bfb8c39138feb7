/**
 * What pages are made of, beside `parts`: each is shown at `/ui/design`.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {UNKNOWN} from './number.js';
import {ago, exact} from './time.js';

/** @typedef {'plain' | 'good' | 'warn' | 'bad' | 'note'} Tone */
/** @typedef {import('./types.js').Context} Context */

/**
 * @param {unknown} text
 * @param {Tone} [tone]
 * @param {string} [help] What it means.
 */
export function badge(text, tone = 'plain', help) {
  return html`<span class=${`badge is-${tone}`} title=${help}>${text}</span>`;
}

/**
 * A time: how long ago, and exactly when under the pointer.
 *
 * @param {unknown} at In milliseconds since the epoch.
 * @param {number} now
 */
export function when(at, now) {
  if (typeof at !== 'number' || !Number.isFinite(at)) return UNKNOWN;
  return html`<time datetime=${new Date(at).toISOString()} title=${exact(at)}>${ago(at, now)}</time>`;
}

/**
 * A name that somebody else chose: shown whole where there is place, and whatever it is made of.
 *
 * @param {unknown} text
 */
export function name(text) {
  const shown = String(text ?? '');
  return html`<bdi title=${shown}>${shown === '' ? '(empty)' : shown}</bdi>`;
}

/**
 * @param {string} title
 * @param {unknown} content
 * @param {{actions?: unknown, text?: unknown, id?: string}} [more]
 */
export function section(title, content, {actions, text, id} = {}) {
  return html`<section class="section" id=${id} aria-label=${title}>
    <div class="section-head"><h2>${title}</h2>${text ? html`<p>${text}</p>` : null}
      ${actions ? html`<div class="actions">${actions}</div>` : null}</div>
    ${content}
  </section>`;
}

/**
 * Figures in a row.
 *
 * @param {{label: string, value: string, unit?: string, tone?: Tone, href?: string, help?: string}[]} figures
 */
export function readout(figures) {
  return html`<dl class="readout">${each(
    figures,
    ({label}) => label,
    ({label, value, unit, tone, href, help}) => html`<div>
    <dt title=${help}>${label}</dt>
    <dd class=${tone ? `is-${tone}` : ''}>${href === undefined ? value : html`<a href=${href}>${value}</a>`}${unit === undefined ? null : html`<small>${unit}</small>`}</dd>
  </div>`,
  )}</dl>`;
}

/**
 * What is known of one thing. What is null is left out.
 *
 * @param {[string, unknown][]} rows
 */
export function facts(rows) {
  const shown = rows.filter(([, value]) => value !== null && value !== undefined);
  return html`<dl class="facts">${each(
    shown,
    ([label]) => label,
    ([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>`,
  )}</dl>`;
}

/**
 * How much of a limit is used.
 *
 * @param {object} what
 * @param {string} what.label
 * @param {number | undefined} what.used
 * @param {number | undefined} what.limit
 * @param {(value: unknown) => string} what.format
 * @param {number} [what.tick] Where something happens, as a part of the limit.
 * @param {string} [what.help]
 * @param {boolean} [what.isReverse] Less is worse: `used` is what is left.
 * @param {string} [what.text] Instead of `used of limit`.
 */
export function meter({label, used, limit, format, tick, help, isReverse = false, text}) {
  const words = text ?? `${format(used)} of ${format(limit)}`;
  const part = used === undefined || !limit ? 0 : Math.max(0, Math.min(1, used / limit));
  const line = tick ?? 1;
  const tone = isReverse
    ? part <= line
      ? 'bad'
      : part <= 2 * line
        ? 'warn'
        : 'good'
    : part >= line
      ? 'bad'
      : part >= 0.8 * line
        ? 'warn'
        : 'good';
  return html`<div class=${`meter is-${tone}`} title=${help}>
    <span>${label}</span>
    <div class="meter-track" role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${limit ?? 1}
      aria-valuenow=${used ?? 0} aria-valuetext=${words}>
      <div class="meter-fill" css=${{width: `${(100 * part).toFixed(1)}%`}}></div>
      ${tick === undefined ? null : html`<div class="meter-tick" css=${{left: `calc(${(100 * tick).toFixed(1)}% - 1px)`}}></div>`}
    </div>
    <span class="meter-text">${words}</span>
  </div>`;
}

/**
 * Choices that exclude each other, kept in the address.
 *
 * @param {Context} ctx
 * @param {string} key The name in the query.
 * @param {string} label
 * @param {[value: string, text: string][]} options
 * @param {string} [meant] Where the address says nothing: the first.
 */
export function choice(ctx, key, label, options, meant = options[0][0]) {
  const chosen = ctx.query.get(key) ?? meant;
  return html`<div class="choice" role="group" aria-label=${label}>
    ${each(
      options,
      ([value]) => value,
      ([value, text]) => html`<button type="button"
      aria-pressed=${value === chosen ? 'true' : 'false'}
      @click=${() => ctx.setQuery({[key]: value === meant ? null : value})}>${text}</button>`,
    )}
  </div>`;
}

/**
 * Parts of a page, kept in the address.
 *
 * @param {Context} ctx
 * @param {[value: string, text: string][]} parts The first is meant where the address says nothing.
 */
export function tabs(ctx, parts) {
  const chosen = ctx.query.get('part') ?? parts[0][0];
  return html`<nav class="tabs" aria-label="Parts of this page">
    ${each(
      parts,
      ([value]) => value,
      ([value, text], n) => html`<a href=${n === 0 ? location.pathname : `?part=${value}`}
      aria-current=${value === chosen ? 'page' : null}>${text}</a>`,
    )}
  </nav>`;
}

/**
 * A field that filters as one types, kept in the address.
 *
 * @param {Context} ctx
 * @param {string} label
 * @param {string} [key]
 */
export function filter(ctx, label, key = 'name') {
  return html`<input class="filter" type="search" aria-label=${label} placeholder=${label} autocomplete="off"
    spellcheck="false" .value=${ctx.query.get(key) ?? ''}
    @input=${(/** @type {Event} */ event) => ctx.setQuery({[key]: /** @type {HTMLInputElement} */ (event.currentTarget).value})}>`;
}

/**
 * Which vhost is looked at, kept in the address.
 *
 * @param {Context} ctx
 * @param {string[]} names
 * @param {string} now
 * @param {boolean} [hasAll] All of them may be looked at together.
 */
export function ofVhost(ctx, names, now, hasAll = false) {
  return html`<select class="filter is-short" aria-label="Vhost" @change=${(/** @type {Event} */ event) =>
    ctx.setQuery({vhost: /** @type {HTMLSelectElement} */ (event.currentTarget).value})}>
    ${hasAll ? html`<option value="" selected=${now === ''}>All vhosts</option>` : null}
    ${each(names, (one) => one, (one) => html`<option value=${one} selected=${one === now}>${one}</option>`)}
  </select>`;
}

/**
 * A field of a form, with what it is for and what is wrong with it.
 *
 * @param {string} id
 * @param {string} label
 * @param {unknown} input An element with this id.
 * @param {{help?: unknown, wrong?: string}} [more]
 */
export function field(id, label, input, {help, wrong} = {}) {
  return html`<div class=${wrong ? 'field is-wrong' : 'field'}>
    <label for=${id}>${label}</label>
    ${input}
    ${help ? html`<span class="field-help">${help}</span>` : null}
    ${wrong ? html`<span class="field-wrong" role="alert">${wrong}</span>` : null}
  </div>`;
}

/**
 * There is nothing, and why that may be.
 *
 * @param {string} title
 * @param {unknown} text
 * @param {unknown} [action]
 */
export function empty(title, text, action) {
  return html`<div class="empty"><strong>${title}</strong><p>${text}</p>${action}</div>`;
}

/**
 * What is wrong, and what to do.
 *
 * @param {import('./api.js').ApiError} error
 */
export function problem(error) {
  return html`<div class="problem" role="alert"><strong>${error.reason}</strong><span>${error.advice}</span></div>`;
}

/** @param {number} [lines] What is not there yet has its place already. */
export function skeleton(lines = 4) {
  return html`<div class="skeleton-lines" role="status" aria-label="Loading">
    ${Array.from({length: lines}, () => html`<span class="skeleton"></span>`)}
  </div>`;
}

/**
 * The answer to a question, or what is shown in its place: lines before it came, and what is wrong with it.
 *
 * @param {Context} ctx
 * @param {string} key The name in `ask`.
 * @param {(answer: any) => unknown} view
 * @param {number} [lines]
 */
export function answered(ctx, key, view, lines = 4) {
  const answer = ctx.data[key];
  if (answer !== undefined) return view(answer);
  const error = ctx.errors[key];
  return error === undefined || error.kind === 'lost' ? skeleton(lines) : problem(error);
}
