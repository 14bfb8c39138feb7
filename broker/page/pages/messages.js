/**
 * The messages of a queue, looked at where they are: nothing is consumed, and nothing of them changes.
 *
 * They are asked for when somebody asks, and not again and again: looking through a long queue is work.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {bytes, count} from '../parts/number.js';
import {answered, badge, choice, empty, name, when} from '../app/ui.js';
import {copy, move, redrive, remove} from './message-actions.js';
import {messageView} from './message.js';
import {filterOf} from './message-views.js';
import {again, COUNT, stateOf, STATES} from './messages-asked.js';
import {publish} from './publish.js';

/** @typedef {import('../app/types.js').Context} Context */

/** After the last key it is waited for so long before the broker looks. */
const PAUSE_MS = 300;

/** @param {Context} ctx */
export function messagesView(ctx) {
  return html`
    ${toolbar(ctx)}
    ${answered(ctx, 'messages', (answer) => found(ctx, answer), 6)}`;
}

/** @param {Context} ctx */
function toolbar(ctx) {
  const may = ctx.session.may('management');
  const isTheirs = stateOf(ctx) === 'unacked';
  return html`
    <div class="toolbar">
      ${choice(ctx, 'state', 'Which messages', STATES)}
      ${field(ctx, 'key', 'Key, a regex')}
      ${field(ctx, 'header', 'Header, name=value')}
      ${field(ctx, 'text', 'Text in the body')}
      <button type="button" class="button" @click=${() => again(ctx)}>Look again</button>
    </div>
    ${may ? html`<div class="toolbar">
      <button type="button" class="button is-main" @click=${() => publish(ctx, {vhost: ctx.params.vhost, exchange: '', key: ctx.params.name}, () => again(ctx))}>Publish…</button>
      <button type="button" class="button" @click=${() => copy(ctx)}>Copy…</button>
      ${isTheirs ? html`<span class="quiet">Unacknowledged messages are their consumers’: they can be copied, and no more.</span>` : html`
        <button type="button" class="button" @click=${() => move(ctx)}>Move…</button>
        <button type="button" class="button" @click=${() => redrive(ctx)}>Redrive…</button>
        <button type="button" class="button is-bad" @click=${() => remove(ctx)}>Delete…</button>
        <span class="quiet">${Object.keys(filterOf(ctx.query)).length === 0 ? 'of all of them' : 'of those the filter means'}</span>`}
    </div>` : null}`;
}

/**
 * @param {Context} ctx
 * @param {string} key
 * @param {string} label
 */
function field(ctx, key, label) {
  return html`<input class="filter is-third" type="search" aria-label=${label} placeholder=${label} autocomplete="off" spellcheck="false"
    .value=${ctx.state[`typed ${key}`] ?? ctx.query.get(key) ?? ''} @input=${(/** @type {Event} */ event) => {
      const {value} = /** @type {HTMLInputElement} */ (event.currentTarget);
      ctx.state[`typed ${key}`] = value;
      clearTimeout(ctx.state.pause);
      ctx.state.pause = window.setTimeout(() => {
        delete ctx.state[`typed ${key}`];
        ctx.setQuery({[key]: value, after: null, message: null});
      }, PAUSE_MS);
    }}>`;
}

/**
 * @param {Context} ctx
 * @param {any} answer
 */
function found(ctx, answer) {
  const {messages, cursor} = answer;
  if (messages.length === 0 && cursor === null) return nothing(ctx);
  const shown = messages.find((/** @type {any} */ one) => one.cursor === ctx.query.get('message')) ?? messages[0];
  return html`
    <div class="browser">
      <div class="browser-list">
        <div class="table-scroll" tabindex="0" role="group" aria-label="Messages"><table class="free">
          <thead><tr><th scope="col">Message</th><th scope="col">Key</th><th scope="col" class="is-number">Size</th><th scope="col" class="is-number">Came</th></tr></thead>
          <tbody>${each(messages, (one) => one.cursor, (one) => line(ctx, one, one === shown))}</tbody>
        </table></div>
        ${pages(ctx, messages.length, cursor)}
      </div>
      ${shown === undefined ? null : messageView(ctx, shown)}
    </div>`;
}

/**
 * @param {Context} ctx
 * @param {any} one
 * @param {boolean} isShown
 */
function line(ctx, one, isShown) {
  return html`<tr class=${isShown ? 'is-picked' : ''}>
    <td><button type="button" class="link" aria-pressed=${isShown ? 'true' : 'false'} aria-label=${`Message ${one.sequence}`}
      @click=${() => ctx.setQuery({message: one.cursor})}>${one.sequence}</button>
      ${one.redelivered ? badge('again', 'warn', 'It was delivered before') : null}
      ${one.is_readable ? null : badge('damaged', 'bad', 'It cannot be read')}</td>
    <td class="cut">${name(one.routing_key ?? '')}</td>
    <td class="is-number">${bytes(one.payload_bytes ?? one.size)}</td>
    <td class="is-number">${when(one.arrived_at, ctx.now)}</td>
  </tr>`;
}

/**
 * @param {Context} ctx
 * @param {number} number
 * @param {string | null} cursor
 */
function pages(ctx, number, cursor) {
  const isFirst = !ctx.query.has('after');
  return html`<div class="toolbar pages">
    <span class="quiet">${count(number)} here${cursor !== null && number < COUNT ? ', and not all were looked at' : ''}</span>
    <span class="toolbar-end">
      ${isFirst ? null : html`<button type="button" class="button" @click=${() => ctx.setQuery({after: null, message: null}, {push: true})}>First</button>`}
      ${cursor === null ? null : html`<button type="button" class="button" @click=${() => ctx.setQuery({after: cursor, message: null}, {push: true})}>Next</button>`}
    </span>
  </div>`;
}

/** @param {Context} ctx */
function nothing(ctx) {
  if (Object.keys(filterOf(ctx.query)).length > 0) return empty('No message fits', 'Take a word of the filter away to see more.');
  return {
    ready: empty('Nothing is ready', 'All messages are with consumers, or there are none.'),
    unacked: empty('Nothing is with consumers', 'Every message that was delivered is acknowledged.'),
    delayed: empty('Nothing is delayed', 'No message waits for its time.'),
  }[stateOf(ctx)];
}
