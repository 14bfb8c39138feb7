/**
 * Who is connected: what they are, what they send, and what holds them back.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {bytes, count} from '../app/number.js';
import {causeOf} from '../app/causes.js';
import {listOf} from '../app/list.js';
import {href} from '../app/place.js';
import {exact, roughly} from '../app/time.js';
import {badge, empty, filter, name, when} from '../app/ui.js';
import {views} from '../app/views.js';

/** @typedef {import('../app/types.js').Context} Context */

const COLUMNS =
  'name,user_provided_name,user,vhost,state,held_by,held_since_ms,channels,recv_oct_details.rate,send_oct_details.rate,ssl,ssl_protocol,client_properties.product,client_properties.version,connected_at';

/** @param {Context} ctx */
const list = (ctx) => listOf(ctx, {path: 'connections', columns: COLUMNS, sort: 'name', query: {search_in: 'name,user_provided_name,user'}});

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Connections',
  ask: (ctx) => list(ctx).questions(),
  view: (ctx) => {
    const table = list(ctx);
    const view = table.view({
      label: 'Connections',
      key: (row) => row.name,
      columns: columns(ctx),
      empty: ctx.query.get('name')
        ? 'No connection has this in its name or address, nor a user of this name.'
        : empty('Nobody is connected', 'Clients connect to the addresses that the overview lists.'),
    });
    return html`
      <div class="toolbar">${filter(ctx, 'Filter by name, address or user')}<span class="count">${table.counted('connection')}</span>${views(ctx, 'connections')}</div>
      ${view}`;
  },
};

export default page;

/**
 * @param {Context} ctx
 * @returns {import('../app/list.js').Column<any>[]}
 */
function columns(ctx) {
  return [
    {
      id: 'name',
      title: 'Name',
      sorts: true,
      view: (row) => html`<a href=${href('/connections/:name', row)}>${name(called(row))}</a>`,
    },
    {id: 'user', title: 'User', sorts: true, wide: true, width: '5.75rem', view: (row) => name(row.user)},
    {id: 'vhost', title: 'Vhost', sorts: true, wide: true, width: '4.25rem', view: (row) => name(row.vhost)},
    {id: 'state', title: 'State', sorts: true, width: '5.5rem', view: state},
    {id: 'held_by', title: 'Held back by', sorts: true, sortsDown: true, wide: true, width: '12rem', help: 'Why its publishers wait, and since when', view: (row) => heldBy(row, ctx.now)},
    {
      id: 'channels',
      title: 'Channels',
      sorts: true,
      isNumber: true,
      wide: true,
      width: '5.25rem',
      view: (row) => count(row.channels),
    },
    {
      id: 'recv_oct_details.rate',
      title: 'In, /s',
      sorts: true,
      isNumber: true,
      width: '5.5rem',
      view: (row) => bytes(row.recv_oct_details?.rate),
    },
    {
      id: 'send_oct_details.rate',
      title: 'Out, /s',
      sorts: true,
      isNumber: true,
      wide: true,
      width: '5.25rem',
      view: (row) => bytes(row.send_oct_details?.rate),
    },
    {id: 'client_properties.product', title: 'Client', sorts: true, wide: true, width: '7.25rem', view: client},
    {
      id: 'ssl',
      title: 'TLS',
      sorts: true,
      wide: true,
      width: '4rem',
      view: (row) => (row.ssl ? (row.ssl_protocol ?? 'yes') : 'no'),
    },
    {
      id: 'connected_at',
      title: 'Since',
      sorts: true,
      isNumber: true,
      wide: true,
      width: '6.25rem',
      view: (row) => when(row.connected_at, ctx.now),
    },
  ];
}

/**
 * @param {any} row
 * @returns {string} As its client calls it, if it does.
 */
export function called(row) {
  return row.user_provided_name ? `${row.user_provided_name}` : row.name;
}

/** @param {any} row */
export function state({state: is, held_by: by}) {
  if (is === 'running') return badge('running', 'good');
  return badge(
    is,
    is === 'blocked' ? 'bad' : 'warn',
    by === undefined || by === 'none' ? undefined : `held back by ${causeOf(by)}`,
  );
}

/**
 * @param {any} row
 * @param {number} now
 */
export function heldBy({held_by: by, held_since_ms: since}, now) {
  return by === undefined || by === 'none' ? '–' : html`<span title=${causeOf(by)}>${causeOf(by)}</span> <small title=${`since ${exact(since)}`}>${roughly(now - since)}</small>`;
}

/** @param {any} row */
export function client({client_properties: properties}) {
  const {product, version} = properties ?? {};
  return product === undefined ? '–' : name(`${product} ${version ?? ''}`.trim());
}
