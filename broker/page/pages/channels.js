/**
 * Every channel: how it works, what it holds, how fast it is.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {count, rate} from '../app/number.js';
import {listOf} from '../app/list.js';
import {href} from '../app/place.js';
import {badge, empty, filter, name} from '../app/ui.js';
import {views} from '../app/views.js';
import {heldBy} from './connections.js';

/** @typedef {import('../app/types.js').Context} Context */

const COLUMNS =
  'name,user,vhost,state,held_by,held_since_ms,confirm,transactional,prefetch_count,consumer_count,messages_unacknowledged,messages_unconfirmed,message_stats.publish_details.rate,message_stats.deliver_get_details.rate,message_stats.ack_details.rate';

/** @param {Context} ctx */
const list = (ctx) => listOf(ctx, {path: 'channels', columns: COLUMNS, sort: 'name', query: {search_in: 'name,user'}});

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Channels',
  ask: (ctx) => list(ctx).questions(),
  view: (ctx) => {
    const table = list(ctx);
    const view = table.view({
      label: 'Channels',
      key: (row) => row.name,
      columns: columns(ctx),
      empty: ctx.query.get('name')
        ? 'No channel has this in its address, nor a user of this name.'
        : empty('There is no channel', 'Clients open them in their connections.'),
    });
    return html`
      <div class="toolbar">${filter(ctx, 'Filter by address or user')}<span class="count">${table.counted('channel')}</span>${views(ctx, 'channels')}</div>
      ${view}`;
  },
};

export default page;

/**
 * @param {Context} ctx
 * @returns {import('../app/list.js').Column<any>[]}
 */
const columns = (ctx) => [
  {
    id: 'name',
    title: 'Channel',
    sorts: true,
    view: (row) => channelLink(ctx, row),
  },
  {id: 'user', title: 'User', sorts: true, wide: true, width: '6rem', view: (row) => name(row.user)},
  {id: 'vhost', title: 'Vhost', sorts: true, wide: true, width: '5rem', view: (row) => name(row.vhost)},
  {id: 'state', title: 'State', sorts: true, wide: true, width: '5.75rem', view: (row) => channelState(row)},
  {id: 'held_by', title: 'Held back by', sorts: true, sortsDown: true, wide: true, width: '10rem', help: 'Why what it publishes waits, and since when', view: (row) => heldBy(row, ctx.now)},
  {id: 'confirm', title: 'Mode', sorts: true, wide: true, width: '6.75rem', view: mode},
  {
    id: 'prefetch_count',
    title: 'Prefetch',
    sorts: true,
    isNumber: true,
    wide: true,
    width: '5.75rem',
    help: 'How many messages each consumer may have unacknowledged',
    view: (row) => (row.prefetch_count === 0 ? 'no limit' : count(row.prefetch_count)),
  },
  {
    id: 'messages_unacknowledged',
    title: 'Unacked',
    sorts: true,
    isNumber: true,
    width: '5.5rem',
    view: (row) => count(row.messages_unacknowledged),
  },
  {
    id: 'message_stats.publish_details.rate',
    title: 'In, /s',
    sorts: true,
    isNumber: true,
    width: '5.25rem',
    view: (row) => rate(row.message_stats?.publish_details?.rate ?? 0),
  },
  {
    id: 'message_stats.deliver_get_details.rate',
    title: 'Out, /s',
    sorts: true,
    isNumber: true,
    wide: true,
    width: '5.25rem',
    view: (row) => rate(row.message_stats?.deliver_get_details?.rate ?? 0),
  },
  {
    id: 'message_stats.ack_details.rate',
    title: 'Acked, /s',
    sorts: true,
    isNumber: true,
    wide: true,
    width: '5.75rem',
    view: (row) => rate(row.message_stats?.ack_details?.rate ?? 0),
  },
];

/** @param {any} row */
export function channelState({state}) {
  return badge(state, state === 'running' ? 'good' : state === 'idle' ? 'plain' : 'warn');
}

/** @param {any} row */
export function mode({transactional, confirm}) {
  return transactional ? badge('transactions') : confirm ? badge('confirms') : '–';
}

/**
 * A channel by the client's end of it and its number; its whole name is behind that.
 *
 * @param {Context} ctx
 * @param {{name: string, user?: string}} channel
 */
export function channelLink(ctx, {name: whole, user}) {
  const shown = html`<bdi title=${whole}>${whole.replace(/ -> \S+/, '')}</bdi>`;
  return ctx.session.may('see of', {user}) ? html`<a href=${href('/channels/:name', {name: whole})}>${shown}</a>` : shown;
}
