/**
 * Bindings of a queue or an exchange: how messages come to it and go from it, more of them, and fewer.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {ApiError} from '../app/api.js';
import {ask} from '../app/ask.js';
import {confirm} from '../app/dialog.js';
import {api, href} from '../app/place.js';
import {badge, field, name} from '../app/ui.js';
import {inLine, readTable} from './arguments.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {{kind: 'queue' | 'exchange', vhost: string, name: string, exclusive?: boolean}} Thing */
/** @typedef {{source: string, vhost: string, destination: string, destination_type: 'queue' | 'exchange', routing_key: string, arguments: Record<string, unknown>, properties_key: string}} Binding */

/** So many are shown; more of them is for the API. */
const SHOWN = 500;

/**
 * @param {string} exchange
 * @returns {string} As addresses have it.
 */
export function named(exchange) {
  return exchange === '' ? 'amq.default' : exchange;
}

/**
 * @param {Context} ctx
 * @param {string} vhost
 * @param {string} exchange
 */
export function exchangeLink(ctx, vhost, exchange) {
  if (!ctx.session.may('enter', {vhost})) return exchange === '' ? '(default exchange)' : name(exchange);
  return html`<a href=${href('/exchanges/:vhost/:name', {vhost, name: named(exchange)})}>${exchange === '' ? '(default exchange)' : name(exchange)}</a>`;
}

/**
 * @param {Context} ctx
 * @param {string} vhost
 * @param {string} queue
 */
export function queueLink(ctx, vhost, queue) {
  if (!ctx.session.may('enter', {vhost})) return name(queue);
  return html`<a href=${href('/queues/:vhost/:name', {vhost, name: queue})}>${name(queue)}</a>`;
}

/**
 * Bindings to a thing.
 *
 * @param {Context} ctx
 * @param {Binding[]} bindings
 * @param {Thing} thing
 */
export function bindingsOf(ctx, bindings, thing) {
  return html`
    <div class="toolbar"><span class="quiet">What comes through an exchange comes by one of these.</span>
      ${ctx.session.may('bind queue', thing) ? html`<span class="toolbar-end"><button type="button" class="button" @click=${() => bind(ctx, {destination: thing})}>Bind…</button></span>` : null}</div>
    ${bindingTable(ctx, bindings, 'source', thing.exclusive)}`;
}

/**
 * @param {Context} ctx
 * @param {Binding[]} bindings
 * @param {'source' | 'destination'} side Which end of it is told.
 * @param {boolean} [exclusive] Of a queue of one connection alone.
 */
export function bindingTable(ctx, bindings, side, exclusive = false) {
  if (bindings.length === 0) return html`<p class="quiet">There are none.</p>`;
  const mayUnbind = (/** @type {Binding} */ one) => one.source !== '' && ctx.session.may('unbind', {vhost: one.vhost, exclusive, binding: one});
  const may = bindings.slice(0, SHOWN).some(mayUnbind);
  const keyOf = (/** @type {Binding} */ one) => `${one.source}\n${one.destination_type}\n${one.destination}\n${one.properties_key}`;
  return html`<div class="table-scroll is-low" tabindex="0" role="group" aria-label=${side === 'source' ? 'Bindings to it' : 'Bindings from it'}><table class="free">
    <thead><tr><th scope="col">${side === 'source' ? 'From the exchange' : 'To'}</th><th scope="col">Routing key</th><th scope="col">Arguments</th>
      ${may ? html`<th scope="col"><span class="hidden">Actions</span></th>` : null}</tr></thead>
    <tbody>${each(bindings.slice(0, SHOWN), keyOf, (one) => html`<tr>
      <td>${side === 'source' ? exchangeLink(ctx, one.vhost, one.source) : html`${one.destination_type === 'queue' ? queueLink(ctx, one.vhost, one.destination) : exchangeLink(ctx, one.vhost, one.destination)} ${one.destination_type === 'exchange' ? badge('exchange') : null}`}</td>
      <td>${one.routing_key === '' ? html`<span class="quiet">(empty)</span>` : html`<code>${name(one.routing_key)}</code>`}</td>
      <td><code>${name(inLine(one.arguments) || '–')}</code></td>
      ${may ? html`<td class="is-number">${one.source === '' ? html`<span class="quiet" title="Every queue is bound to the default exchange by its name">always</span>`
        : mayUnbind(one) ? html`<button type="button" class="link" @click=${() => unbind(ctx, one)}>Unbind…</button>` : null}</td>` : null}
    </tr>`)}</tbody>
  </table></div>
  ${bindings.length > SHOWN ? html`<p class="quiet">These are the first ${SHOWN} of ${bindings.length}.</p>` : null}`;
}

/**
 * @param {Context} ctx
 * @param {Binding} one
 */
async function unbind(ctx, one) {
  const answer = await confirm({
    title: `Unbind ${one.destination} from ${one.source}?`,
    text: html`<p>What is published with the key <code>${name(one.routing_key)}</code> does not go this way any more. Messages that are there stay.</p>`,
    action: 'Unbind',
  });
  if (answer === null) return;
  const params = {vhost: one.vhost, source: one.source, to: one.destination_type === 'queue' ? 'q' : 'e', destination: one.destination};
  await ctx.act('DELETE', `${api('bindings/:vhost/e/:source/:to/:destination', params)}/${encodeURIComponent(one.properties_key)}`, {done: `${one.destination} is unbound.`});
}

/**
 * @param {Context} ctx
 * @param {{source?: Thing, destination?: Thing}} ends One of them is asked for.
 */
export function bind(ctx, {source, destination}) {
  const vhost = (source ?? destination)?.vhost ?? '/';
  return ask({
    title: source === undefined ? `Bind ${destination?.name} to an exchange` : `Bind from ${source.name}`,
    action: 'Bind',
    fields: () => html`<div class="form">
      ${source === undefined
        ? field('b-source', 'Exchange', html`<input id="b-source" name="source" required autocomplete="off" spellcheck="false" placeholder="amq.topic">`)
        : html`<div class="form-grid">${field('b-kind', 'To', html`<select id="b-kind" name="kind"><option value="queue">a queue</option><option value="exchange">an exchange</option></select>`)}
          ${field('b-destination', 'Its name', html`<input id="b-destination" name="destination" required autocomplete="off" spellcheck="false">`)}</div>`}
      ${field('b-key', 'Routing key', html`<input id="b-key" name="key" autocomplete="off" spellcheck="false">`, {help: 'At a topic exchange * is one word, # any number of them'})}
      ${field('b-arguments', 'Arguments', html`<textarea id="b-arguments" name="arguments" spellcheck="false" placeholder="x-match = all"></textarea>`, {help: 'One a line, as name = value: what a headers exchange compares'})}
    </div>`,
    submit: async (data) => {
      const table = readTable(String(data.get('arguments') ?? ''));
      if (table instanceof Error) return new ApiError('failed', 400, table.message);
      const kind = destination?.kind ?? String(data.get('kind'));
      const params = {
        vhost,
        source: source?.name ?? String(data.get('source')),
        to: kind === 'queue' ? 'q' : 'e',
        destination: destination?.name ?? String(data.get('destination')),
      };
      const body = {routing_key: String(data.get('key') ?? ''), arguments: table};
      return ctx.change('POST', api('bindings/:vhost/e/:source/:to/:destination', params), {body, done: `${params.destination} is bound.`});
    },
  });
}
