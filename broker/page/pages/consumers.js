/**
 * Every consumer: what it has, what it took, and whether it gets anything.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count} from '../app/number.js';
import {confirm} from '../app/dialog.js';
import {listOf} from '../app/list.js';
import {duration} from '../app/time.js';
import {api} from '../app/place.js';
import {badge, empty, filter, name, when} from '../app/ui.js';
import {views} from '../app/views.js';
import {queueLink} from './bindings.js';
import {channelLink} from './channels.js';

/** @typedef {import('../app/types.js').Context} Context */

const COLUMNS =
  'consumer_tag,queue,channel_details,ack_required,exclusive,active,activity_status,prefetch_count,messages_unacknowledged,oldest_unacknowledged_ms,deliveries,acks,ack_times';

/** @param {Context} ctx */
const list = (ctx) => listOf(ctx, {path: 'consumers', columns: COLUMNS, sort: 'queue.name'});

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Consumers',
  ask: (ctx) => list(ctx).questions(),
  view: (ctx) => {
    const table = list(ctx);
    const view = table.view({
      label: 'Consumers',
      key,
      columns: columns(ctx, table.rows),
      empty: ctx.query.get('name')
        ? 'No consumer has this in its tag.'
        : empty('Nobody consumes', 'Messages wait in their queues until somebody does.'),
    });
    return html`
      <div class="toolbar">${filter(ctx, 'Filter by tag')}<span class="count">${table.counted('consumer')}</span>${views(ctx, 'consumers')}</div>
      ${view}`;
  },
};

export default page;

/**
 * @param {any} row
 * @returns {string}
 */
function key(row) {
  return `${row.channel_details?.name} ${row.consumer_tag}`;
}

/**
 * @param {Context} ctx
 * @param {any[]} rows
 * @returns {import('../app/list.js').Column<any>[]}
 */
function columns(ctx, rows) {
  const mayEnd = rows.some((row) => row !== undefined && ctx.session.may('end of', {user: row.channel_details?.user}));
  /** @type {import('../app/list.js').Column<any>[]} */
  const all = [
    {id: 'queue.name', title: 'Queue', sorts: true, width: '8.75rem', view: (row) => ofQueue(ctx, row)},
    {id: 'consumer_tag', title: 'Tag', sorts: true, width: '8rem', view: (row) => name(row.consumer_tag)},
    {id: 'channel', title: 'Channel', sorts: true, sortsBy: 'channel_details.name', wide: true, width: '10rem', view: ({channel_details: channel}) => (channel?.name === undefined ? '–' : channelLink(ctx, channel))},
    {id: 'activity_status', title: 'State', sorts: true, wide: true, width: '6.75rem', view: activity},
    {
      id: 'ack_required',
      title: 'Acks',
      sorts: true,
      wide: true,
      width: '5.5rem',
      view: (row) => (row.ack_required ? 'by hand' : badge('automatic', 'plain', 'What is sent counts as done')),
    },
    {
      id: 'prefetch_count',
      title: 'Prefetch',
      sorts: true,
      isNumber: true,
      wide: true,
      width: '5rem',
      view: (row) => (row.prefetch_count === 0 ? 'no limit' : count(row.prefetch_count)),
    },
    {
      id: 'messages_unacknowledged',
      title: 'Unacked',
      sorts: true,
      isNumber: true,
      // A phone has place for this or for what can be done.
      wide: mayEnd,
      width: '5.25rem',
      view: (row) => count(row.messages_unacknowledged),
    },
    {
      id: 'oldest_unacknowledged_ms',
      title: 'Oldest unacked',
      help: 'When the oldest delivery was made that it has not acknowledged',
      sorts: true,
      sortsBy: 'unacknowledged_for_ms',
      isNumber: true,
      wide: true,
      width: '7.75rem',
      view: (row) => when(row.oldest_unacknowledged_ms, ctx.now),
    },
    {
      id: 'ack_times',
      title: 'Acked in',
      help: 'How long it takes to acknowledge: half of its deliveries within this',
      sorts: true,
      sortsBy: 'ack_times.half_below_ms',
      isNumber: true,
      sortsDown: true,
      wide: true,
      width: '5.25rem',
      view: ({ack_times: times}) => ackTimes(times),
    },
    {id: 'deliveries', title: 'Delivered', sorts: true, isNumber: true, wide: true, width: '6rem', view: (row) => count(row.deliveries)},
  ];
  if (mayEnd) {
    all.push({id: 'cancel', title: '', width: '5rem', view: (row) => cancelButton(ctx, row)});
  }
  return all;
}

/**
 * @param {Context} ctx
 * @param {any} row
 */
function ofQueue(ctx, {queue}) {
  return html`${queueLink(ctx, queue.vhost, queue.name)}${queue.vhost === '/' ? null : html` ${badge(name(queue.vhost))}`}`;
}

/** @param {any} times */
function ackTimes({half_below_ms: half, most_below_ms: most}) {
  return half === null ? '–' : html`<span title=${`99 of 100 within ${duration(most)}`}>${duration(half)}</span>`;
}

/** @param {any} row */
function activity({activity_status: status, ack_required: acks, prefetch_count: most, messages_unacknowledged: held}) {
  if (acks && most > 0 && held >= most) return badge('at prefetch', 'warn', 'It holds as many messages as it may');
  return status === 'up' ? badge('active', 'good') : badge(status, 'plain', 'Another consumer is the active one');
}

/**
 * @param {Context} ctx
 * @param {any} row
 */
function cancelButton(ctx, row) {
  if (!ctx.session.may('end of', {user: row.channel_details?.user})) return null;
  return html`<button type="button" class="link" @click=${() => cancel(ctx, row)}>Cancel…</button>`;
}

/**
 * Consumers of one channel or queue.
 *
 * @param {Context} ctx
 * @param {any[]} rows
 */
export function consumerTable(ctx, rows) {
  if (rows.length === 0) return html`<p>Nobody consumes here.</p>`;
  const shown = columns(ctx, rows);
  return html`<div class="table-scroll" tabindex="0" role="group" aria-label="Consumers"><table class="free">
    <thead><tr>${each(
      shown,
      ({id}) => id,
      ({title, isNumber}) =>
        html`<th scope="col" class=${isNumber ? 'is-number' : ''}>${title || html`<span class="hidden">Actions</span>`}</th>`,
    )}</tr></thead>
    <tbody>${each(
      rows,
      key,
      (row) =>
        html`<tr>${each(
          shown,
          ({id}) => id,
          ({view, isNumber}) => html`<td class=${isNumber ? 'is-number' : ''}>${view(row)}</td>`,
        )}</tr>`,
    )}</tbody>
  </table></div>`;
}

/**
 * @param {Context} ctx
 * @param {any} row
 */
async function cancel(ctx, row) {
  const answer = await confirm({
    title: `Cancel ${row.consumer_tag}?`,
    text: html`<p>It gets no more messages of ${name(row.queue.name)}. The ${count(row.messages_unacknowledged)} that it has stay its own until it
      settles them. Its channel goes on, and its client is told if it understands that.</p>`,
    action: 'Cancel the consumer',
  });
  if (answer === null) return;
  const path = api('consumers/:vhost/:channel/:tag', {
    vhost: row.queue.vhost,
    channel: row.channel_details.name,
    tag: row.consumer_tag,
  });
  await ctx.act('DELETE', path, {done: `${row.consumer_tag} is cancelled.`});
}
