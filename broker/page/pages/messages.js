/**
 * The messages of a queue, looked at where they are: nothing is consumed, and nothing of them changes.
 *
 * They are asked for when somebody asks, and not again and again: looking through a long queue is work.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {bytes, count} from '../app/number.js';
import {answered, badge, choice, empty, name, problem, when} from '../app/ui.js';
import {copy, move, redrive, remove} from './message-actions.js';
import {holder, holders} from './message-holders.js';
import {messageView} from './message.js';
import {filterOf, unreadable} from './message-views.js';
import {again, COUNT, stateOf, STATES} from './messages-asked.js';
import {choose, chosen, CHOSEN_MAX, keyOf} from './messages-chosen.js';
import {publish} from './publish.js';

/** @typedef {import('../app/types.js').Context} Context */

/** After the last key it is waited for so long before the broker looks. */
const PAUSE_MS = 300;

/** @param {Context} ctx */
export function messagesView(ctx) {
  const wrong = unreadable(ctx.query);
  if (wrong !== null) return html`${fields(ctx)}${empty('No message is meant yet', wrong)}`;
  return html`
    ${fields(ctx)}
    ${actions(ctx)}
    ${stateOf(ctx) === 'unacked' ? holders(ctx) : null}
    ${refused(ctx) ?? answered(ctx, 'messages', (answer) => found(ctx, answer), 6)}`;
}

/**
 * What was shown before is no answer to a question that was refused.
 *
 * @param {Context} ctx
 */
export function refused(ctx) {
  const error = ctx.errors.messages;
  return error === undefined || error.kind === 'lost' ? null : problem(error);
}

/** @param {Context} ctx */
function fields(ctx) {
  return html`
    <div class="toolbar">
      ${choice(ctx, 'state', 'Which messages', STATES)}
      ${filters(ctx)}
    </div>`;
}

/**
 * What messages are filtered by.
 *
 * @param {Context} ctx
 */
export function filters(ctx) {
  return html`${field(ctx, 'key', 'Key, a regex')}
      ${field(ctx, 'header', 'Header, name=value')}
      ${field(ctx, 'text', 'Text in the body')}
      <button type="button" class="button" @click=${() => again(ctx)}>Look again</button>`;
}

/** @param {Context} ctx */
function actions(ctx) {
  const thing = {...ctx.params, exclusive: ctx.data.queue?.exclusive};
  const may = (/** @type {string} */ act) => ctx.session.may(act, thing);
  const isTheirs = stateOf(ctx) === 'unacked';
  const button = (/** @type {string} */ act, /** @type {string} */ word, /** @type {(ctx: Context) => unknown} */ what, kind = 'button') =>
    (may(act) ? html`<button type="button" class=${kind} @click=${() => what(ctx)}>${word}…</button>` : null);
  const fill = () => publish(ctx, {vhost: ctx.params.vhost, exchange: '', key: ctx.params.name}, () => again(ctx));
  const own = isTheirs ? [] : [
    button('move messages', 'Move', move),
    button('redrive messages', 'Redrive', redrive),
    button('delete messages', 'Delete messages', remove, 'button is-bad'),
  ].filter((one) => one !== null);
  const [first, second] = [button('fill queue', 'Publish', fill, 'button is-main'), button('move messages', 'Copy', copy)];
  if (first === null && second === null && own.length === 0) return null;
  const says = isTheirs ? 'Unacknowledged messages are their consumers’: they can be copied, and no more.' : meant(ctx);
  return html`<div class="toolbar">${first}${second}${own}<span class="quiet">${second === null && own.length === 0 ? '' : says}</span></div>`;
}

/** @param {Context} ctx */
function meant(ctx) {
  const {size} = chosen(ctx);
  if (size > 0) {
    const clear = () => {
      chosen(ctx).clear();
      ctx.draw();
    };
    return html`of the <strong>${count(size)}</strong> that ${size === 1 ? 'is' : 'are'} chosen${size >= CHOSEN_MAX ? ', which is as many as it may be' : ''} <button type="button" class="link" @click=${clear}>Choose none</button>`;
  }
  return Object.keys(filterOf(ctx.query)).length === 0 ? 'of all of them' : 'of those the filter means';
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
          <thead><tr>${mayChoose(ctx) ? html`<th scope="col" class="is-pick">${all(ctx, messages)}</th>` : null}<th scope="col">Message</th><th scope="col">Key</th><th scope="col" class="is-number">Size</th>${column(ctx)}</tr></thead>
          <tbody>${each(messages, (one) => one.cursor, (one) => line(ctx, one, one === shown))}</tbody>
        </table></div>
        ${pages(ctx, messages.length, cursor)}
      </div>
      ${shown === undefined ? null : messageView(ctx, shown)}
    </div>`;
}

/**
 * Whether messages are chosen at all: there is something to be done with them.
 *
 * @param {Context} ctx
 */
function mayChoose(ctx) {
  const thing = {...ctx.params, exclusive: ctx.data.queue?.exclusive};
  return ['move messages', 'delete messages'].some((act) => ctx.session.may(act, thing));
}

/**
 * All of this page at once.
 *
 * @param {Context} ctx
 * @param {any[]} messages
 */
function all(ctx, messages) {
  const isAll = messages.length > 0 && messages.every((one) => chosen(ctx).has(keyOf(one)));
  return html`<input type="checkbox" class="pick" aria-label="Choose all of this page" .checked=${isAll}
    @change=${() => choose(ctx, messages, !isAll)}>`;
}

/**
 * @param {Context} ctx
 * @param {any} one
 * @param {boolean} isShown
 */
function line(ctx, one, isShown) {
  return html`<tr class=${isShown ? 'is-picked' : ''}>
    ${mayChoose(ctx) ? html`<td class="is-pick"><input type="checkbox" class="pick" aria-label=${`Choose message ${one.sequence}`}
      .checked=${chosen(ctx).has(keyOf(one))} @change=${(/** @type {Event} */ event) => choose(ctx, [one], /** @type {HTMLInputElement} */ (event.currentTarget).checked)}></td>` : null}
    <td><button type="button" class="link" aria-pressed=${isShown ? 'true' : 'false'} aria-label=${`Message ${one.sequence}`}
      @click=${() => ctx.setQuery({message: one.cursor})}>${one.sequence}</button>
      ${one.redelivered ? badge('again', 'warn', 'It was delivered before') : null}
      ${one.is_readable ? null : badge('damaged', 'bad', 'It cannot be read')}</td>
    <td class="cut">${name(one.routing_key ?? '')}</td>
    <td class="is-number">${bytes(one.payload_bytes ?? one.size)}</td>
    ${cell(ctx, one)}
  </tr>`;
}

/**
 * What is told of a message depends on where it is: when it came, when it is due, or who has it.
 *
 * @param {Context} ctx
 */
function column(ctx) {
  switch (stateOf(ctx)) {
    case 'delayed':
      return html`<th scope="col" class="is-number">Due</th>`;
    case 'unacked':
      return html`<th scope="col">With</th>`;
    default:
      return html`<th scope="col" class="is-number">Came</th>`;
  }
}

/**
 * @param {Context} ctx
 * @param {any} one
 */
function cell(ctx, one) {
  switch (stateOf(ctx)) {
    case 'delayed':
      return html`<td class="is-number">${when(one.due_at, ctx.now)}</td>`;
    case 'unacked':
      return html`<td class="cut">${holder(ctx, one)}</td>`;
    default:
      return html`<td class="is-number">${when(one.arrived_at, ctx.now)}</td>`;
  }
}

/**
 * @param {Context} ctx
 * @param {number} number
 * @param {string | null} cursor
 */
export function pages(ctx, number, cursor) {
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
