/**
 * Making a policy, with what its pattern matches while it is typed.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {ApiError} from '../app/api.js';
import {ask} from '../app/ask.js';
import {readJson} from '../app/json.js';
import {api} from '../app/place.js';
import {facts, field} from '../app/ui.js';
import {Preview} from './policy-preview.js';

/** @typedef {import('../app/types.js').Context} Context */

/** What policies can set of queues and exchanges, each with what a value looks like. */
const KEYS = [
  ['max-length', '100000'],
  ['max-length-bytes', '1073741824'],
  ['overflow', '"drop-head", "reject-publish", "reject-publish-dlx"'],
  ['message-ttl', '60000, in ms'],
  ['expires', '1800000, in ms'],
  ['expiry', '"head", "anywhere"'],
  ['dead-letter-exchange', '"name"'],
  ['dead-letter-routing-key', '"key"'],
  ['dead-letter-strategy', '"at-most-once", "at-least-once"'],
  ['delivery-limit', '20'],
  ['delayed-retry-type', '"all", "failed", "returned", "disabled"'],
  ['delayed-retry-min', '1000, in ms'],
  ['delayed-retry-max', '60000, in ms'],
  ['delayed-retry-backoff', '"linear", "exponential"'],
  ['consumer-timeout', '1800000, in ms'],
  ['max-held-bytes', '1073741824'],
  ['max-publish-rate', '1000'],
  ['max-publish-byte-rate', '1048576'],
  ['alternate-exchange', '"name"'],
  ['delayed-message', 'true'],
];

/** Those of them that operators may limit. */
const OF_OPERATORS = new Set(['max-length', 'max-length-bytes', 'overflow', 'message-ttl', 'expires', 'delivery-limit', 'delayed-retry-type', 'delayed-retry-min', 'delayed-retry-max', 'max-held-bytes', 'max-publish-rate', 'max-publish-byte-rate']);

const OF = ['all', 'queues', 'classic_queues', 'quorum_queues', 'streams', 'exchanges'];
const FIRST = '{\n  "max-length": 100000\n}';

/**
 * @param {Context} ctx
 * @param {'policies' | 'operator-policies'} kind
 * @param {any | null} row What is changed.
 */
export function editPolicy(ctx, kind, row) {
  const vhosts = (ctx.data.vhosts ?? []).map((/** @type {any} */ one) => one.name).filter((/** @type {string} */ vhost) => ctx.session.may('make policies', {vhost}));
  const sets = row === null ? FIRST : JSON.stringify(row.definition, null, 2);
  const state = {name: row?.name ?? '', vhost: row?.vhost ?? (vhosts.includes('/') ? '/' : vhosts[0]), pattern: row?.pattern ?? '', of: row?.['apply-to'] ?? 'queues', priority: String(row?.priority ?? 0), definition: sets};
  const preview = new Preview(ctx, kind, state, row === null);
  const typed = (/** @type {Event} */ event, /** @type {() => void} */ redraw) => {
    const input = /** @type {HTMLInputElement} */ (event.currentTarget);
    Object.assign(state, {[input.name]: input.value});
    preview.typed(input.name, redraw);
  };
  return ask({
    title: row === null ? (kind === 'policies' ? 'Add a policy' : 'Add an operator policy') : `Change ${row.name}`,
    action: row === null ? 'Add' : 'Change',
    isWide: true,
    fields: (redraw) => {
      preview.begin(redraw);
      return html`
      <div class="form-grid">
        ${row === null ? field('y-vhost', 'Vhost', html`<select id="y-vhost" name="vhost" @change=${(/** @type {Event} */ event) => typed(event, redraw)}>${vhosts.map((/** @type {string} */ one) => html`<option value=${one} selected=${one === state.vhost}>${one}</option>`)}</select>`) : null}
        ${row === null ? field('y-name', 'Name', html`<input id="y-name" name="name" required autocomplete="off" spellcheck="false" @input=${(/** @type {Event} */ event) => typed(event, redraw)}>`) : null}
        ${field('y-of', 'Of', html`<select id="y-of" name="of" @change=${(/** @type {Event} */ event) => typed(event, redraw)}>${OF.map((one) => html`<option value=${one} selected=${one === state.of}>${one.replace('_', ' ')}</option>`)}</select>`)}
        ${field('y-priority', 'Priority', html`<input id="y-priority" name="priority" type="number" value=${row?.priority ?? 0} @input=${(/** @type {Event} */ event) => typed(event, redraw)}>`, {help: 'The highest counts'})}
      </div>
      ${field('y-pattern', 'Pattern', html`<input id="y-pattern" name="pattern" required autocomplete="off" spellcheck="false" value=${state.pattern} @input=${(/** @type {Event} */ event) => typed(event, redraw)}>`, {help: 'A regular expression that is found in the name: ^orders\\. is at its beginning'})}
      <div role="status" aria-live="polite">${preview.view()}</div>
      ${field(
        'y-definition',
        'Sets',
        html`<textarea id="y-definition" name="definition" required spellcheck="false" @input=${(/** @type {Event} */ event) => typed(event, redraw)}>${sets}</textarea>`,
        {help: 'JSON'},
      )}
      <details><summary>What it can set</summary>${facts((kind === 'policies' ? KEYS : KEYS.filter(([key]) => OF_OPERATORS.has(key))).map(([key, value]) => [key, html`<code>${value}</code>`]))}</details>`;
    },
    submit: async (data) => {
      const definition = readJson(String(data.get('definition')));
      if (definition instanceof Error) return new ApiError('failed', 400, definition.message);
      const vhost = row?.vhost ?? String(data.get('vhost'));
      const called = row?.name ?? String(data.get('name'));
      const body = {
        pattern: String(data.get('pattern')),
        'apply-to': String(data.get('of')),
        priority: Number(data.get('priority')),
        definition,
      };
      return ctx.change('PUT', api(`${kind}/:vhost/:name`, {vhost, name: called}), {
        body,
        done: `${called} counts now.`,
      });
    },
  });
}
