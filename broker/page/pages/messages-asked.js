/**
 * Which messages of a queue are looked at, and when: once, until something else is wanted.
 *
 * @module
 */

import {api} from '../app/place.js';
import {filterQuery, unreadable} from './message-views.js';

/** @typedef {import('../app/types.js').Context} Context */

/** Messages on a page. */
export const COUNT = 50;
/** Bytes of a body that are shown. */
const SHOWN = 16_384;

/** @type {[string, string][]} */
export const STATES = [['ready', 'Ready'], ['unacked', 'Unacknowledged'], ['delayed', 'Delayed']];

/**
 * @param {Context} ctx
 * @returns {string}
 */
export function stateOf(ctx) {
  return ctx.query.get('state') ?? STATES[0][0];
}

/**
 * @param {Context} ctx
 * @returns {string | undefined} What is asked, if it was not asked before.
 */
export function askMessages(ctx) {
  return asked(ctx, 'queues/:vhost/:name/messages', {state: stateOf(ctx)});
}

/**
 * The same of what waits in an exchange for its time.
 *
 * @param {Context} ctx
 * @returns {string | undefined}
 */
export function askDelayed(ctx) {
  return asked(ctx, 'exchanges/:vhost/:name/delayed', {});
}

/**
 * @param {Context} ctx
 * @param {string} pattern
 * @param {Record<string, string>} more
 * @returns {string | undefined}
 */
function asked(ctx, pattern, more) {
  if (unreadable(ctx.query) !== null) return undefined;
  const path = api(pattern, ctx.params, {...filterQuery(ctx.query), ...more, count: COUNT, truncate: SHOWN, cursor: ctx.query.get('after')});
  const {state} = ctx;
  const isRefused = ctx.errors.messages?.kind === 'failed';
  const isKnown = state.asked === path && (isRefused || (ctx.data.messages !== undefined && ctx.data.messages !== state.before));
  if (isKnown) return undefined;
  if (state.asked !== path) state.before = ctx.data.messages;
  state.asked = path;
  return path;
}

/**
 * A message with all of its body: of the page that is shown, the one behind the one before it.
 *
 * @param {Context} ctx
 * @param {any} one
 * @returns {Promise<any | null>} Null if it is not there any more. Throws an `ApiError`.
 */
export async function wholeOf(ctx, one) {
  const all = ctx.data.messages?.messages ?? [];
  const at = all.findIndex((/** @type {any} */ other) => other.cursor === one.cursor);
  const [path, text = ''] = String(ctx.state.asked).split('?');
  const query = new URLSearchParams(text);
  query.delete('truncate');
  query.set('count', '1');
  if (at > 0) query.set('cursor', all[at - 1].cursor);
  const {messages} = await ctx.fetch(`${path}?${query}`);
  return messages[0]?.cursor === one.cursor ? {...one, ...messages[0]} : null;
}

/**
 * Looks again.
 *
 * @param {Context} ctx
 */
export function again(ctx) {
  ctx.state.asked = null;
  ctx.refresh();
}
