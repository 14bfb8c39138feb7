/**
 * What counts for a queue, whose word each value is, and another value for those that may change.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {ask} from '../app/ask.js';
import {api, href} from '../app/place.js';
import {badge, empty, facts, field, name, section} from '../app/ui.js';
import {readValue, writeValue} from './arguments.js';

/** @typedef {import('../app/types.js').Context} Context */

/** What an argument does, for those that may change while the queue is there. */
/** @type {[string, string][]} */
const KNOWN = [
  ['x-max-length', 'So many messages at most'],
  ['x-max-length-bytes', 'So many bytes of bodies at most'],
  ['x-overflow', 'What gives way: drop-head, reject-publish or reject-publish-dlx'],
  ['x-message-ttl', 'Messages live so many milliseconds'],
  ['x-expires', 'The queue goes after so many milliseconds without use'],
  ['x-dead-letter-exchange', 'Where dead letters go'],
  ['x-dead-letter-routing-key', 'The key they go with'],
  ['x-dead-letter-strategy', 'at-most-once or at-least-once'],
  ['x-delivery-limit', 'A message is tried so often'],
  ['x-consumer-timeout', 'A delivery is acknowledged within so many milliseconds'],
  ['x-delayed-retry-type', 'Which messages that come back wait before they are tried again'],
  ['x-delayed-retry-min', 'They wait so many milliseconds at first'],
  ['x-delayed-retry-max', 'And so many at most'],
  ['x-delayed-retry-backoff', 'How the wait grows: linear or exponential'],
  ['x-expiry', 'Where messages that lapse are looked for: head or anywhere'],
  ['x-max-held-bytes', 'Bytes before publishers wait'],
  ['x-max-publish-rate', 'Messages a second before publishers wait'],
  ['x-max-publish-byte-rate', 'Bytes a second before publishers wait'],
];

/** @type {Map<string, string>} */
const ABOUT = new Map([
  ...KNOWN,
  ['x-queue-type', 'The type, fixed'],
  ['x-max-priority', 'Priorities up to this, fixed'],
  ['x-single-active-consumer', 'One consumer at a time, fixed'],
  ['x-message-group', 'Messages of a group go to one consumer at a time, fixed'],
  ['x-queue-mode', 'Means nothing any more'],
  ['x-queue-version', 'Means nothing any more'],
]);

const CHANGES = new Set(KNOWN.map(([argument]) => argument));

/**
 * @param {Context} ctx
 * @param {any} counts The answer of `/arguments`.
 */
export function argumentsView(ctx, counts) {
  const rows = Object.entries(counts.effective).sort(([one], [other]) => one.localeCompare(other));
  const may = ctx.session.may('amend queue', {...ctx.params, exclusive: ctx.data.queue?.exclusive});
  const add = may ? html`<button type="button" class="button" @click=${() => change(ctx, counts, null)}>Set an argument…</button>` : null;
  return html`
    ${section('What counts', rows.length === 0
      ? empty('No arguments', 'No limit holds for this queue, and nothing of it lapses.')
      : table(ctx, counts, rows, may), {text: 'each value, and whose word it is', actions: add})}
    ${section('Whose word it is', facts([
      ['Policy', typeof counts.policy !== 'string' ? 'none applies' : policyLink(counts.policy)],
      ['Operator policy', typeof counts.operator_policy !== 'string' ? 'none applies' : name(counts.operator_policy)],
      ['They set', definition(counts.policy_definition)],
    ]))}`;
}

/** @param {string} policy */
function policyLink(policy) {
  return html`<a href=${href('/policies', {}, {name: policy})}>${name(policy)}</a>`;
}

/** @param {Record<string, unknown>} set */
function definition(set) {
  const entries = Object.entries(set ?? {});
  if (entries.length === 0) return 'nothing';
  return html`<code>${entries.map(([key, value]) => `${key} = ${writeValue(value)}`).join(', ')}</code>`;
}

/**
 * @param {Context} ctx
 * @param {any} counts
 * @param {[string, any][]} rows
 * @param {boolean} may
 */
function table(ctx, counts, rows, may) {
  return html`<div class="table-scroll is-low" tabindex="0" role="group" aria-label="Arguments"><table class="free">
    <thead><tr><th scope="col">Argument</th><th scope="col">Value</th><th scope="col">From</th><th scope="col">Declared</th><th scope="col">What it does</th>
      ${may ? html`<th scope="col"><span class="hidden">Actions</span></th>` : null}</tr></thead>
    <tbody>${each(rows, ([argument]) => argument, ([argument, {value, origin: from}]) => html`<tr>
      <td><code>${name(argument)}</code></td><td><code>${name(writeValue(value))}</code></td><td>${origin(from)}</td>
      <td>${argument in counts.declared ? html`<code>${name(writeValue(counts.declared[argument]))}</code>` : '–'}</td>
      <td class="quiet">${ABOUT.get(argument) ?? ''}</td>
      ${may ? html`<td class="is-number">${CHANGES.has(argument) ? html`<button type="button" class="link" @click=${() => change(ctx, counts, argument)}>Change…</button>` : null}</td>` : null}
    </tr>`)}</tbody>
  </table></div>`;
}

/** @param {{kind: string, name?: string}} from */
function origin(from) {
  switch (from.kind) {
    case 'argument':
      return badge('declared', 'plain', 'It was given when the queue was declared, or changed since');
    case 'policy':
      return html`${badge('policy', 'note')} ${policyLink(from.name ?? '')}`;
    case 'operator_policy':
      return html`${badge('operator policy', 'warn')} ${name(from.name)}`;
    default:
      return badge('default');
  }
}

/**
 * @param {Context} ctx
 * @param {any} counts
 * @param {string | null} argument
 */
function change(ctx, counts, argument) {
  const before = argument === null ? undefined : counts.declared[argument];
  let chosen = argument ?? KNOWN[0][0];
  return ask({
    title: argument === null ? 'Set an argument' : `Change ${argument}`,
    action: 'Change',
    text: html`<p>It counts at once, without declaring the queue anew. Clients that declare it have to name the new value.</p>`,
    fields: (redraw) => html`<div class="form">
      ${argument === null ? field('a-name', 'Argument', html`<select id="a-name" name="argument" @change=${(/** @type {Event} */ event) => {
        chosen = /** @type {HTMLSelectElement} */ (event.currentTarget).value;
        redraw();
      }}>${each(KNOWN, ([key]) => key, ([key]) => html`<option value=${key}>${key}</option>`)}</select>`, {help: ABOUT.get(chosen)}) : html`<p class="quiet">${ABOUT.get(argument)}</p>`}
      ${field('a-value', 'Value', html`<input id="a-value" name="value" autocomplete="off" spellcheck="false" value=${before === undefined ? '' : writeValue(before)}>`, {help: 'Empty takes the argument away; then a policy may count'})}
    </div>`,
    submit: async (data) => {
      const text = String(data.get('value') ?? '');
      const value = text.trim() === '' ? null : readValue(text);
      const done = value === null ? `${chosen} is taken away.` : `${chosen} is ${text.trim()} now.`;
      return ctx.change('POST', api('queues/:vhost/:name/arguments', ctx.params), {body: {arguments: {[chosen]: value}}, done});
    },
  });
}
