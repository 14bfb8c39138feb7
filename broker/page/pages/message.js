/**
 * One message: where it came from, what it carries, and its body.
 *
 * @module
 */

import {each, html, render} from '../parts/html.js';
import {bytes, count} from '../app/number.js';
import {ApiError} from '../app/api.js';
import {choice, empty, facts, name, when} from '../app/ui.js';
import {inLine, writeValue} from './arguments.js';
import {exchangeLink, queueLink} from './bindings.js';
import {holder} from './message-holders.js';
import {stateOf, wholeOf} from './messages-asked.js';
import {anyText, best, COPIES, hex, json, octets, text} from './message-views.js';
import {protobuf} from './protobuf.js';
import {packing, unpacked} from './unpacking.js';

/** @typedef {import('../app/types.js').Context} Context */

/**
 * @param {Context} ctx
 * @param {any} one
 * @param {unknown} [more] What can be done with it.
 */
export function messageView(ctx, one, more = null) {
  if (!one.is_readable) return html`<div class="browser-one">${empty('This message cannot be read', 'What is stored of it is damaged. The log of the broker says more.')}</div>`;
  const properties = Array.isArray(one.properties) ? {} : one.properties;
  return html`<section class="browser-one" aria-label=${`Message ${one.sequence}`}>
    <div class="section-head"><h2>Message ${one.sequence}</h2>
      <div class="actions">${each(COPIES, ([id]) => id, ([, title, write]) => html`<button type="button" class="button"
        @click=${() => copyOf(ctx, one, title, write)}>Copy as ${title}</button>`)}${more}</div></div>
    ${facts([
      ['Exchange', exchangeLink(ctx, ctx.params.vhost, one.exchange)],
      ['Routing key', html`<code>${name(one.routing_key)}</code>`],
      ['Came', when(one.arrived_at, ctx.now)],
      ['Lapses', typeof one.expires_at === 'number' ? when(one.expires_at, ctx.now) : null],
      ['Due', typeof one.due_at === 'number' ? when(one.due_at, ctx.now) : null],
      ['With', stateOf(ctx) === 'unacked' ? holder(ctx, one) : null],
      ['Delivered', typeof one.delivered_at === 'number' ? when(one.delivered_at, ctx.now) : null],
      ['Failed', one.failed_attempts > 0 ? `${count(one.failed_attempts)} times` : null],
      ['Priority', one.priority > 0 ? count(one.priority) : null],
      ...Object.entries(properties).filter(([key]) => key !== 'headers').map(([key, value]) => /** @type {[string, unknown]} */ ([spoken(key), property(ctx, key, value)])),
    ])}
    ${headers(properties.headers)}
    ${deaths(ctx, properties.headers?.['x-death'])}
    ${body(ctx, one)}
  </section>`;
}

/** A body that is larger than this is not for a browser. */
const WHOLE_MAX = 2 << 20;

/**
 * @param {any} one
 * @returns {boolean} Whether all of its body was told.
 */
function isWholeOf(one) {
  return octets(one).length >= one.payload_bytes;
}

/**
 * What is shown again, or published again, is the message and not the beginning of it.
 *
 * @param {Context} ctx
 * @param {any} one
 * @returns {Promise<any | null>} Null if it cannot be had; then it is said why.
 */
async function whole(ctx, one) {
  if (isWholeOf(one)) return one;
  if (one.payload_bytes > WHOLE_MAX) {
    ctx.say(`Its body of ${bytes(one.payload_bytes)} is too large for that: no more than ${bytes(WHOLE_MAX)} are fetched.`, 'bad');
    return null;
  }
  try {
    const found = await wholeOf(ctx, one);
    if (found === null) ctx.say('It is not there any more: only the beginning of it is known.', 'bad');
    return found;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    ctx.say(`${error.reason} ${error.advice}`, 'bad');
    return null;
  }
}

/**
 * @param {Context} ctx
 * @param {any} one
 * @param {string} title
 * @param {(message: any) => string} write
 */
async function copyOf(ctx, one, title, write) {
  const found = await whole(ctx, one);
  if (found === null) return;
  const properties = Array.isArray(found.properties) ? {} : found.properties;
  showCopy(ctx, title, write({...found, properties, vhost: ctx.params.vhost}));
}

/**
 * @param {Context} ctx
 * @param {any} one
 */
async function showWhole(ctx, one) {
  const found = await whole(ctx, one);
  if (found === null) return;
  ctx.state.whole = found;
  ctx.draw();
}

/**
 * @param {string} key `content_type`
 * @returns {string} `Content type`
 */
function spoken(key) {
  const words = key.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * @param {Context} ctx
 * @param {string} key
 * @param {any} value
 */
function property(ctx, key, value) {
  if (key === 'timestamp') return html`${when(value * 1000, ctx.now)} <span class="quiet">(${value})</span>`;
  if (key === 'delivery_mode') return value === 2 ? 'persistent' : 'transient';
  return name(value);
}

/** @param {Record<string, unknown> | undefined} table */
function headers(table) {
  const rows = Object.entries(table ?? {}).filter(([key]) => key !== 'x-death');
  if (rows.length === 0) return null;
  return html`<h3>Headers</h3>${facts(rows.map(([key, value]) => [key, html`<code>${name(writeValue(value))}</code>`]))}`;
}

/**
 * @param {Context} ctx
 * @param {any[] | undefined} all
 */
function deaths(ctx, all) {
  if (!Array.isArray(all) || all.length === 0) return null;
  return html`<h3>How it died</h3><ol class="named">${each(all, (_, n) => n, (one) => html`<li>
    <span>${one.reason} in ${queueLink(ctx, ctx.params.vhost, String(one.queue))}</span>
    <span title=${inLine(one)}>${one.count > 1 ? `${count(one.count)} times` : 'once'}</span>
  </li>`)}</ol>`;
}

/**
 * What of a body is looked at: unpacked, where it is packed and somebody does not want it as it is.
 *
 * @param {Context} ctx
 * @param {any} one
 * @returns {{bytes: Uint8Array, isWhole: boolean, packing: string | null, isUnpacked: boolean}}
 */
function lookedAt(ctx, one) {
  const stored = octets(one);
  const isWhole = stored.length >= one.payload_bytes;
  const how = packing(one, stored);
  if (how === null || ctx.query.get('packed') === '1') return {bytes: stored, isWhole, packing: how, isUnpacked: false};
  const kept = ctx.state.unpacked;
  if (kept?.of !== one) {
    const mine = {of: one, found: null};
    ctx.state.unpacked = mine;
    void unpacked(stored, how).then((found) => {
      Object.assign(mine, {found});
      ctx.draw();
    });
  }
  const found = kept?.of === one ? kept.found : null;
  return found === null ? {bytes: stored, isWhole, packing: how, isUnpacked: false} : {...found, isWhole: isWhole && found.isWhole, packing: how, isUnpacked: true};
}

/**
 * @param {any} one
 * @param {string} word
 * @returns {boolean} Whether its type has this in it.
 */
function isSaid({properties}, word) {
  return String(properties?.content_type ?? '').toLowerCase().includes(word);
}

/**
 * @param {Context} ctx
 * @param {any} told
 */
function body(ctx, told) {
  const one = ctx.state.whole?.cursor === told.cursor ? ctx.state.whole : told;
  const {bytes: whole, isWhole, packing: how, isUnpacked} = lookedAt(ctx, one);
  const asText = text(whole, isWhole);
  const asFields = isWhole && (asText === null || isSaid(one, 'protobuf')) ? protobuf(whole) : null;
  const others = /** @type {[string, string][]} */ ([['json', 'JSON'], ['text', 'text'], ['hex', 'hex'], ...(asFields === null ? [] : [['protobuf', 'protobuf']])]);
  const meant = asFields !== null && isSaid(one, 'protobuf') ? 'protobuf' : best(asText);
  const options = [...others.filter(([id]) => id === meant), ...others.filter(([id]) => id !== meant)];
  const view = ctx.query.get('view') ?? meant;
  const shown = view === 'hex' ? hex(whole) : view === 'json' ? json(asText) : view === 'protobuf' ? asFields : (asText ?? anyText(whole));
  const size = isUnpacked ? `${bytes(one.payload_bytes)} of ${how}, unpacked ${bytes(whole.length)}` : bytes(one.payload_bytes);
  const cut = isWhole ? '' : isUnpacked ? ' and more' : `, of which the first ${bytes(whole.length)} are shown`;
  return html`<div class="section-head is-body"><h3>Body</h3><p>${size}${cut}</p>
      <div class="actions">${isWholeOf(one) || one.payload_bytes > WHOLE_MAX ? null : html`<button type="button" class="link" @click=${() => showWhole(ctx, one)}>Show all of it</button>`}${how === null ? null : choice(ctx, 'packed', 'Whether the body is unpacked', [['', 'unpacked'], ['1', 'as it is']])}
        ${choice(ctx, 'view', 'How the body is shown', options)}</div></div>
    ${one.payload_bytes === 0 ? html`<p class="quiet">It is empty.</p>`
      : shown === null ? html`<p class="quiet">This is no ${view === 'protobuf' ? 'protobuf' : 'JSON'}${isWhole ? '' : ', as far as it is shown'}.</p>`
      : html`<pre class=${view === 'hex' ? 'body is-hex' : 'body'} tabindex="0" role="group" aria-label="Body">${shown}</pre>`}`;
}

/**
 * Shows text that can be copied: where the browser lets a page do so by itself, with a button.
 *
 * @param {Context} ctx
 * @param {string} title
 * @param {string} code
 */
function showCopy(ctx, title, code) {
  const dialog = document.createElement('dialog');
  dialog.className = 'is-wide';
  dialog.setAttribute('aria-labelledby', 'copy-title');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      ctx.say('It is copied.');
      dialog.close();
    } catch {
      const pre = dialog.querySelector('pre');
      if (pre !== null) getSelection()?.selectAllChildren(pre);
    }
  };
  render(html`<form method="dialog" class="dialog">
    <h2 id="copy-title">To publish it again with ${title}</h2>
    <pre class="body" tabindex="0" role="group" aria-label="Code">${code}</pre>
    <div class="actions"><button class="button">Close</button><button type="button" class="button is-main" @click=${copy}>Copy</button></div>
  </form>`, dialog);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
