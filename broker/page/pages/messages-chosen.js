/**
 * Messages that somebody chose one by one: kept while the same messages are looked through, page by page.
 *
 * @module
 */

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {{cursor: string, sequence: number}} Pick */

/** What the broker takes at a time. */
export const CHOSEN_MAX = 1000;

/**
 * @param {Context} ctx
 * @returns {Map<string, Pick>} By what tells them apart. Others are looked at: none is chosen any more.
 */
export function chosen(ctx) {
  const among = ['key', 'header', 'text', 'state'].map((name) => ctx.query.get(name) ?? '').join('\n');
  if (ctx.state.chosen?.among !== among) ctx.state.chosen = {among, all: new Map()};
  return ctx.state.chosen.all;
}

/**
 * @param {{cursor: string, sequence: number}} one
 * @returns {string}
 */
export function keyOf({cursor, sequence}) {
  return `${cursor} ${sequence}`;
}

/**
 * @param {Context} ctx
 * @param {any[]} messages
 * @param {boolean} isWanted
 */
export function choose(ctx, messages, isWanted) {
  const all = chosen(ctx);
  for (const {cursor, sequence} of messages) {
    if (!isWanted) all.delete(keyOf({cursor, sequence}));
    else if (all.size < CHOSEN_MAX) all.set(keyOf({cursor, sequence}), {cursor, sequence});
  }
  ctx.draw();
}
