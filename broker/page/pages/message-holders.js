/**
 * Who has the messages that are not acknowledged, and since when.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count} from '../app/number.js';
import {badge, name, when} from '../app/ui.js';
import {channelLink} from './channels.js';

/** @typedef {import('../app/types.js').Context} Context */

/** So many are named; all of them stand under “Now”. */
const NAMED = 8;

/**
 * @param {Context} ctx
 * @returns {any[]} Consumers that hold something, who holds the oldest first.
 */
function holding(ctx) {
  const all = (ctx.data.why?.consumers ?? []).filter((/** @type {any} */ one) => one.messages_unacknowledged > 0);
  return all.sort((/** @type {any} */ one, /** @type {any} */ other) => one.oldest_unacknowledged_ms - other.oldest_unacknowledged_ms);
}

/**
 * All of them, above the messages.
 *
 * @param {Context} ctx
 */
export function holders(ctx) {
  const all = holding(ctx);
  if (all.length === 0) return null;
  return html`<ul class="named holders" aria-label="Who has them">
    ${each(all.slice(0, NAMED), (one) => `${one.channel} ${one.consumer_tag}`, (one) => html`<li>
      ${holder(ctx, one)}
      <span>${count(one.messages_unacknowledged)}, the oldest since ${when(one.oldest_unacknowledged_ms, ctx.now)}</span></li>`)}
    ${all.length > NAMED ? html`<li>and ${count(all.length - NAMED)} more consumers</li>` : null}
  </ul>`;
}

/**
 * Who has something: a consumer, on its channel, and whose it is.
 *
 * @param {Context} ctx
 * @param {{consumer_tag: string | null, channel?: string | null, user?: string | null}} one The channel of none that may be seen is left out.
 */
export function holder(ctx, {consumer_tag: tag, channel, user}) {
  if (!tag) return badge('fetched', 'plain', 'Somebody got it by itself, without consuming: basic.get');
  return html`<span class="holder">${name(tag)}${channel ? html` on ${channelLink(ctx, {name: channel, user: user ?? undefined})}` : null}${user ? html` of ${name(user)}` : null}</span>`;
}
