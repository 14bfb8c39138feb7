/**
 * All queues: filtered, sorted and cut into pages by the broker, with the columns somebody wants, and picked
 * for what is done to many.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {count} from '../app/number.js';
import {listOf} from '../app/list.js';
import {keyOf} from '../app/named.js';
import {api} from '../app/place.js';
import {choice, empty, filter, ofVhost} from '../app/ui.js';
import {views} from '../app/views.js';
import {counted, declare, pause, purge, remove, resume} from './queue-actions.js';
import {asked, chooser, chosen, columns} from './queue-columns.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {import('./queue-actions.js').Row} Row */

/** What is asked at a time when all are picked that the filter means. */
const MANY = 500;
/** No more are picked at once. */
const PICKED_MAX = 10_000;

/** @param {Context} ctx */
const list = (ctx) => {
  const vhost = ctx.query.get('vhost');
  return listOf(ctx, {
    path: vhost === null ? 'queues' : api('queues/:vhost', {vhost}),
    columns: asked(chosen(ctx.query)),
    sort: 'name',
    query: {use_regex: isPattern(ctx) ? true : null},
  });
};

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Queues',
  hasOwnHead: true,
  ask: (ctx) => ({...list(ctx).questions(), vhosts: api('vhosts', {}, {columns: 'name'})}),
  view: (ctx) => {
    const table = list(ctx);
    refreshPicked(ctx, table.rows);
    const shown = table.view({
      label: 'Queues',
      key: keyOf,
      columns: table.rows.some((row) => row !== undefined && isPickable(ctx, row)) ? [picker(ctx), ...columns(ctx)] : columns(ctx),
      tone: (row) => (picked(ctx).has(keyOf(row)) ? 'is-picked' : ''),
      empty: nothing(ctx),
    });
    const names = vhosts(ctx);
    const mayDeclare = names.filter((vhost) => ctx.session.may('declare queue', {vhost}));
    return html`
      <header class="page-head"><h1>Queues</h1><span class="quiet">${table.counted('queue')}</span>
        ${mayDeclare.length > 0 ? html`<div class="actions"><button type="button" class="button is-main" @click=${() => declare(ctx, mayDeclare)}>Declare…</button></div>` : null}
      </header>
      <div class="toolbar">
        ${filter(ctx, 'Filter by name')}
        ${choice(ctx, 'regex', 'How the filter is read', [['', 'text'], ['1', 'regex']])}
        ${names.length > 1 ? ofVhost(ctx, names, ctx.query.get('vhost') ?? '', true) : null}
        <span class="toolbar-end">${views(ctx, 'queues')}${chooser(ctx)}</span>
        ${wrongPattern(ctx)}
      </div>
      ${shown}
      ${picked(ctx).size > 0 ? bulk(ctx, table.total) : null}`;
  },
};

export default page;

/**
 * @param {Context} ctx
 * @returns {Map<string, Row>}
 */
function picked(ctx) {
  ctx.state.picked ??= new Map();
  return ctx.state.picked;
}

/**
 * What is picked has the counts that were told last.
 *
 * @param {Context} ctx
 * @param {(Row | undefined)[]} rows
 */
function refreshPicked(ctx, rows) {
  const all = picked(ctx);
  if (all.size === 0) return;
  for (const row of rows) if (row !== undefined && all.has(keyOf(row))) all.set(keyOf(row), row);
}

/** @param {Context} ctx */
function isPattern(ctx) {
  return ctx.query.get('regex') === '1';
}

/** @param {Context} ctx */
function wrongPattern(ctx) {
  const text = ctx.query.get('name') ?? '';
  if (!isPattern(ctx)) return null;
  try {
    return new RegExp(text) && null;
  } catch {
    return html`<p class="toolbar-wrong" role="status">This is no regular expression yet, so it matches nothing.</p>`;
  }
}

/**
 * @param {Context} ctx
 * @returns {string[]}
 */
function vhosts(ctx) {
  return (ctx.data.vhosts ?? []).map((/** @type {any} */ one) => one.name);
}

/**
 * @param {Context} ctx
 * @returns {import('../app/list.js').Column<any>}
 */
function picker(ctx) {
  return {id: 'pick', title: '', width: '2.5rem', view: (row) => (!isPickable(ctx, row) ? null : html`<input type="checkbox" class="pick" aria-label=${`Pick ${row.name}`}
    .checked=${picked(ctx).has(keyOf(row))} @change=${() => {
      const all = picked(ctx);
      if (!all.delete(keyOf(row))) all.set(keyOf(row), row);
      ctx.draw();
    }}>`)};
}

/**
 * @param {Context} ctx
 * @param {Row} row
 */
function isPickable(ctx, row) {
  return ['pause queue', 'purge queue', 'delete queue'].some((act) => ctx.session.may(act, row));
}

/** @param {Context} ctx */
function nothing(ctx) {
  if (ctx.query.get('name') || ctx.query.get('vhost')) return 'No queue fits. Take the filter away to see all.';
  return empty('No queues yet', 'Clients declare them when they start, or you do.');
}

/**
 * What can be done to those that are picked.
 *
 * @param {Context} ctx
 * @param {number} total
 */
function bulk(ctx, total) {
  const rows = [...picked(ctx).values()];
  const clear = () => {
    picked(ctx).clear();
    ctx.draw();
  };
  const then = async (/** @type {Promise<boolean>} */ done) => {
    if (await done) clear();
  };
  const ready = rows.reduce((sum, row) => sum + (row.messages_ready ?? 0), 0);
  const isPaused = (/** @type {Row} */ {paused}) => typeof paused?.consumers === 'string' || typeof paused?.publishers === 'string';
  const button = (/** @type {string} */ act, /** @type {string} */ word, /** @type {(ctx: Context, rows: Row[]) => Promise<boolean>} */ what, /** @type {(row: Row) => boolean} */ fits = () => true) => {
    const some = rows.filter((row) => ctx.session.may(act, row) && fits(row));
    if (some.length === 0) return null;
    const text = some.length === rows.length || word === 'Resume' ? `${word}…` : `${word} ${count(some.length)} of them…`;
    return html`<button type="button" class=${act === 'pause queue' ? 'button' : 'button is-bad'} @click=${() => then(what(ctx, some))}>${text}</button>`;
  };
  return html`<div class="bulk" role="region" aria-label="Picked queues">
    <span><strong>${counted(rows.length, 'queue')}</strong> picked, ${counted(ready, 'ready message')}</span>
    ${rows.length < Math.min(total, PICKED_MAX) ? html`<button type="button" class="link" @click=${() => pickAll(ctx)}>Pick all ${count(Math.min(total, PICKED_MAX))}</button>` : null}
    <div class="actions">
      ${button('pause queue', 'Pause', pause)}
      ${button('pause queue', 'Resume', resume, isPaused)}
      ${button('purge queue', 'Purge', purge)}
      ${button('delete queue', 'Delete', remove)}
      <button type="button" class="button is-quiet" @click=${clear}>Clear</button>
    </div>
  </div>`;
}

/** @param {Context} ctx */
async function pickAll(ctx) {
  const table = list(ctx);
  const all = picked(ctx);
  for (let at = 0; at < Math.min(table.total, PICKED_MAX); at += MANY) {
    const answer = await ctx.fetch(`${table.asked}&page=${at / MANY + 1}&page_size=${MANY}`).catch(() => null);
    if (answer === null) break;
    for (const row of answer.items) if (isPickable(ctx, row)) all.set(keyOf(row), row);
  }
  ctx.draw();
}
