/**
 * What waits in an exchange for its time before it is routed: looked at, and deleted.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {bytes, count} from '../app/number.js';
import {confirm} from '../app/dialog.js';
import {api} from '../app/place.js';
import {answered, empty, name, when} from '../app/ui.js';
import {filterOf, filterQuery, unreadable} from './message-views.js';
import {messageView} from './message.js';
import {again} from './messages-asked.js';
import {filters, pages, refused} from './messages.js';

/** @typedef {import('../app/types.js').Context} Context */

const PATH = 'exchanges/:vhost/:name/delayed';
/** What is counted before something is deleted: at a time, and so often. */
const COUNTED = 1000;
const COUNTS_MAX = 20;

/** @param {Context} ctx */
export function delayed(ctx) {
  if (!ctx.session.may('browse exchange', ctx.params)) {
    return empty('Not for this user', html`<bdi>${ctx.session.name}</bdi> may not read from this exchange. An administrator can grant it.`);
  }
  const wrong = unreadable(ctx.query);
  return html`
    <div class="toolbar">${filters(ctx)}
      ${wrong === null && ctx.session.may('delete delayed', ctx.params) ? html`<span class="toolbar-end"><button type="button" class="button is-bad" @click=${() => remove(ctx)}>Delete messages…</button></span>` : null}</div>
    ${wrong === null ? (refused(ctx) ?? answered(ctx, 'messages', (answer) => found(ctx, answer), 6)) : empty('No message is meant yet', wrong)}`;
}

/**
 * @param {Context} ctx
 * @param {any} answer
 */
function found(ctx, {messages, cursor}) {
  if (messages.length === 0 && cursor === null) {
    return Object.keys(filterOf(ctx.query)).length > 0
      ? empty('No message fits', 'Take a word of the filter away to see more.')
      : empty('Nothing waits here', 'A message waits if its exchange is of the type x-delayed-message and it has x-delay, or if it has x-opt-delivery-time.');
  }
  const all = messages.map(whole);
  const shown = all.find((/** @type {any} */ one) => one.cursor === ctx.query.get('message')) ?? all[0];
  return html`
    <div class="browser">
      <div class="browser-list">
        <div class="table-scroll" tabindex="0" role="group" aria-label="Messages"><table class="free">
          <thead><tr><th scope="col">Message</th><th scope="col">Key</th><th scope="col" class="is-number">Size</th><th scope="col" class="is-number">Due</th></tr></thead>
          <tbody>${each(all, (one) => one.cursor, (one) => line(ctx, one, one === shown))}</tbody>
        </table></div>
        ${pages(ctx, messages.length, cursor)}
      </div>
      ${shown === undefined ? null : messageView(ctx, shown, one(ctx, shown))}
    </div>`;
}

/**
 * @param {any} message
 * @returns {any} With what a message of a queue has.
 */
function whole(message) {
  return {...message, sequence: Number(message.cursor.split('-')[1]), is_readable: message.payload !== undefined};
}

/**
 * @param {Context} ctx
 * @param {any} message
 * @param {boolean} isShown
 */
function line(ctx, message, isShown) {
  return html`<tr class=${isShown ? 'is-picked' : ''}>
    <td><button type="button" class="link" aria-pressed=${isShown ? 'true' : 'false'} aria-label=${`Message ${message.sequence}`}
      @click=${() => ctx.setQuery({message: message.cursor})}>${message.sequence}</button></td>
    <td class="cut">${name(message.routing_key ?? '')}</td>
    <td class="is-number">${bytes(message.payload_bytes ?? message.size)}</td>
    <td class="is-number">${when(message.due_at, ctx.now)}</td>
  </tr>`;
}

/**
 * @param {Context} ctx
 * @param {any} message
 */
function one(ctx, message) {
  if (!ctx.session.may('delete delayed', ctx.params)) return null;
  const removeOne = async () => {
    const answer = await confirm({title: `Delete message ${message.sequence}?`, text: html`<p>It is gone for good: it is never routed.</p>`, action: 'Delete'});
    if (answer === null) return;
    await ctx.act('DELETE', `${api(PATH, ctx.params)}/${encodeURIComponent(message.cursor)}`, {done: `Message ${message.sequence} is deleted.`});
    again(ctx);
  };
  return html`<button type="button" class="button is-bad" @click=${removeOne}>Delete this…</button>`;
}

/**
 * @param {Context} ctx
 * @returns {Promise<{many: number, isAll: boolean} | undefined>} How many the filter means.
 */
async function counted(ctx) {
  let [many, cursor] = [0, /** @type {string | null} */ (null)];
  for (let n = 0; n < COUNTS_MAX; n += 1) {
    const answer = await ctx.act('GET', api(PATH, ctx.params, {...filterQuery(ctx.query), count: COUNTED, truncate: 0, cursor}));
    if (answer === undefined) return undefined;
    many += answer.messages.length;
    cursor = answer.cursor;
    if (cursor === null) return {many, isAll: true};
  }
  return {many, isAll: false};
}

/** @param {Context} ctx */
async function remove(ctx) {
  const meant = await counted(ctx);
  if (meant === undefined) return;
  const {many, isAll} = meant;
  if (many === 0 && isAll) {
    ctx.say('No message is meant: nothing was done.', 'bad');
    return;
  }
  const filter = Object.entries(filterOf(ctx.query)).map(([key, value]) => `${key} = ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const answer = await confirm({
    title: `Delete delayed messages of ${ctx.params.name}?`,
    text: html`<p>${isAll ? '' : 'More than '}${count(many)} ${many === 1 ? 'message is' : 'messages are'} gone for good and never routed:
      ${filter.length === 0 ? 'all that wait here' : html`those with <code>${filter.join(', ')}</code>`}.</p>`,
    action: 'Delete',
    typed: String(many),
  });
  if (answer === null) return;
  const done = await ctx.act('DELETE', api(PATH, ctx.params, filterQuery(ctx.query)));
  if (done === undefined) return;
  ctx.say(`${count(done.deleted)} ${done.deleted === 1 ? 'message is' : 'messages are'} deleted.`);
  again(ctx);
}
