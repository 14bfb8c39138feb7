/**
 * What the list of queues can show of each: which of it is shown is in the address.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {bytes, count, rate, UNKNOWN} from '../app/number.js';
import {ago, exact} from '../app/time.js';
import {badge, name} from '../app/ui.js';
import {queueLink} from './bindings.js';
import {standing} from './queue-findings.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {import('../app/list.js').Column<any>} Column */

/**
 * `of`: what of the API it needs, beside what all rows have.
 *
 * @typedef {Omit<Column, 'view'> & {of: string[], about: string, isMeant?: boolean, view: (row: any, now: number) => unknown}} Choosable
 */

/** What the rest of the page goes by. */
const ALWAYS = ['name', 'vhost', 'messages_ready', 'messages_unacknowledged', 'consumers', 'exclusive', 'paused', 'standing', 'oldest_ready_ms', 'message_stats.deliver_get_details.rate'];

/**
 * @param {string} id
 * @param {string} title
 * @param {string} about
 * @param {Partial<Choosable>} [more]
 * @returns {Choosable}
 */
function level(id, title, about, more = {}) {
  return {id, title, about, of: [id], isNumber: true, sorts: true, width: '5.75rem', view: (row) => count(row[id]), ...more};
}

/**
 * @param {string} of
 * @param {string} title
 * @param {string} about
 * @param {Partial<Choosable>} [more]
 * @returns {Choosable}
 */
function speed(of, title, about, more = {}) {
  const id = `message_stats.${of}_details.rate`;
  return {id, title, about, of: [id], isNumber: true, sorts: true, wide: true, width: '5.25rem', view: (row) => rate(row.message_stats?.[`${of}_details`]?.rate ?? 0), ...more};
}

/**
 * @param {string} id
 * @param {string} title
 * @param {string} about
 * @param {Partial<Choosable>} [more]
 * @returns {Choosable}
 */
function age(id, title, about, more = {}) {
  return {id, title, about, of: [id], isNumber: true, sorts: true, wide: true, width: '6.25rem', view: (row, now) => since(row[id], now), ...more};
}

/**
 * @param {unknown} at
 * @param {number} now
 */
function since(at, now) {
  if (typeof at !== 'number') return UNKNOWN;
  return html`<time title=${exact(at)}>${ago(Math.min(at, now), now).replace(/ ago$/, '')}</time>`;
}

/** @type {Choosable[]} */
export const CHOOSABLE = [
  {id: 'vhost', title: 'Vhost', about: 'Where it is', of: [], sorts: true, wide: true, width: '5rem', isMeant: true, view: (row) => name(row.vhost)},
  {id: 'kind', title: 'Type', about: 'Type, and how long it lives', of: ['type', 'durable', 'auto_delete'], sorts: true, sortsBy: 'type', wide: true, width: '8.5rem', isMeant: true, view: kind},
  {id: 'state', title: 'State', about: 'How it is doing', of: [], sorts: true, sortsBy: 'standing', sortsDown: true, width: '7.25rem', isMeant: true, view: state},
  level('messages_ready', 'Ready', 'Messages that wait for a consumer', {isMeant: true}),
  level('messages_unacknowledged', 'Unacked', 'Messages that consumers have', {isMeant: true, wide: true}),
  level('messages', 'Total', 'Ready and unacknowledged', {wide: true}),
  level('messages_delayed', 'Delayed', 'Messages that wait for their time', {wide: true}),
  age('oldest_ready_ms', 'Oldest', 'How long the oldest message waits', {isMeant: true, sortsBy: 'ready_for_ms'}),
  age('oldest_unacknowledged_ms', 'Held for', 'How long a consumer has the oldest that is not acknowledged', {sortsBy: 'unacknowledged_for_ms'}),
  speed('publish', 'In, /s', 'Published, a second', {isMeant: true}),
  speed('deliver_get', 'Out, /s', 'Delivered, a second', {isMeant: true}),
  speed('ack', 'Acks, /s', 'Acknowledged, a second'),
  speed('redeliver', 'Again, /s', 'Delivered another time, a second'),
  level('consumers', 'Consumers', 'Who takes messages', {isMeant: true, wide: true, width: '6.75rem'}),
  level('message_bytes', 'Size', 'Bytes of all bodies', {wide: true, view: (row) => bytes(row.message_bytes)}),
  level('memory', 'Memory', 'Bytes in memory', {wide: true, view: (row) => bytes(row.memory)}),
  {id: 'policy', title: 'Policy', about: 'Which policy applies', of: ['policy', 'operator_policy'], sorts: true, wide: true, width: '9rem', view: policy},
];

const MEANT = CHOOSABLE.filter(({isMeant}) => isMeant).map(({id}) => id);
/** Of these a phone has place for. */
const MEANT_NARROW = CHOOSABLE.filter(({isMeant, wide}) => isMeant && !wide).map(({id}) => id);

/** @returns {string[]} Which are to be seen if the address names none. */
function meant() {
  return matchMedia('(max-width: 700px)').matches ? MEANT_NARROW : MEANT;
}

/**
 * @param {URLSearchParams} query
 * @returns {string[]} Which are shown.
 */
export function chosen(query) {
  const asked = query.get('columns');
  return asked === null ? MEANT : asked.split(',');
}

/**
 * @param {readonly string[]} before
 * @param {string} id
 * @returns {string | null} What the address has after this one was added or taken away: null for what it means by itself.
 */
export function toggled(before, id) {
  const wanted = new Set(before);
  if (!wanted.delete(id)) wanted.add(id);
  const all = CHOOSABLE.map((column) => column.id).filter((one) => wanted.has(one));
  const text = all.join(',');
  return text === meant().join(',') ? null : text || 'none';
}

/**
 * @param {readonly string[]} ids
 * @returns {string} What is asked of each queue.
 */
export function asked(ids) {
  const more = CHOOSABLE.filter(({id}) => ids.includes(id)).flatMap(({of}) => of);
  return [...new Set([...ALWAYS, ...more])].join(',');
}

/**
 * @param {Context} ctx
 * @returns {Column[]} All but the box to pick it.
 */
export function columns(ctx) {
  const ids = chosen(ctx.query);
  const shown = CHOOSABLE.filter(({id}) => ids.includes(id));
  // What somebody asked for is shown on a phone as well.
  const isAsked = ctx.query.has('columns');
  return [
    {id: 'name', title: 'Name', sorts: true, view: (row) => queueLink(ctx, row.vhost, row.name)},
    ...shown.map(({view, about, ...column}) => ({...column, wide: column.wide && !isAsked, help: about, view: (/** @type {any} */ row) => view(row, ctx.now)})),
  ];
}

/** @param {Context} ctx */
export function chooser(ctx) {
  const ids = ctx.query.has('columns') ? chosen(ctx.query) : meant();
  return html`<details class="menu choices">
    <summary>Columns</summary>
    <div class="menu-panel" role="group" aria-label="Columns">
      ${each(CHOOSABLE, ({id}) => id, ({id, title, about}) => html`<label class="check" title=${about}>
        <input type="checkbox" .checked=${ids.includes(id)} @change=${() => ctx.setQuery({columns: toggled(ids, id)})}>
        <span>${title}<small>${about}</small></span></label>`)}
      <button type="button" class="button" disabled=${!ctx.query.has('columns')} @click=${() => ctx.setQuery({columns: null})}>As at first</button>
    </div>
  </details>`;
}

/** @param {any} row */
export function kind(row) {
  return html`${badge(row.type ?? 'classic', row.type === 'quorum' ? 'note' : 'plain')}
    ${row.durable ? null : badge('transient', 'warn', 'Gone when the broker stops')}
    ${row.auto_delete ? badge('auto', 'plain', 'Deleted when its last consumer goes') : null}
    ${row.exclusive ? badge('exclusive', 'plain', 'Of one connection alone') : null}`;
}

/**
 * @param {any} row
 * @param {number} now
 */
export function state(row, now) {
  const {word, tone, help} = standing(row, now);
  return badge(word, tone, help);
}

/** @param {any} row */
function policy(row) {
  if (!row.policy && !row.operator_policy) return UNKNOWN;
  return html`${row.policy ? name(row.policy) : null} ${row.operator_policy ? badge(row.operator_policy, 'note', 'An operator policy') : null}`;
}
