/**
 * One channel: how it works, how fast it is, and who consumes on it.
 *
 * @module
 */

import '../parts/chart.js';

import {html} from '../parts/html.js';
import {count, rate} from '../app/number.js';
import {historyOf, RANGE_MEANT, SHORT_RANGE_CHOICES} from '../app/history.js';
import {api, href} from '../app/place.js';
import {answered, choice, facts, name, section} from '../app/ui.js';
import {held} from './connection.js';
import {channelState, mode} from './channels.js';
import {consumerTable} from './consumers.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {[key: string, name: string, tone: string][]} */
const LINES = [
  ['publish', 'Published', '1'],
  ['confirm', 'Confirmed', '5'],
  ['deliver_get', 'Delivered', '2'],
  ['ack', 'Acknowledged', '3'],
  ['redeliver', 'Redelivered', '4'],
  ['return_unroutable', 'Unroutable', '6'],
];

/** @type {import('../app/types.js').Page} */
const page = {
  title: (ctx) => ctx.params.name,
  hasOwnHead: true,
  ask: (ctx) => {
    const connection = ctx.data.channel?.connection_details?.name;
    return {
      channel: api('channels/:name', ctx.params, historyOf(ctx).query(['msg_rates'], ctx.now)),
      // What is held back is the whole connection.
      why: connection === undefined ? null : api('connections/:name/why', {name: connection}),
    };
  },
  view: (ctx) => html`
    <header class="page-head"><h1>${name(ctx.params.name)}</h1>${ctx.data.channel === undefined ? null : channelState(ctx.data.channel)}</header>
    ${ctx.data.why === undefined ? null : held(ctx, ctx.data.why)}
    <div class="columns">
      ${section('About', answered(ctx, 'channel', about, 8))}
      ${section(
        'Messages',
        answered(ctx, 'channel', () => chart(ctx), 5),
        {text: 'a second', actions: choice(ctx, 'range', 'Time', SHORT_RANGE_CHOICES, RANGE_MEANT)},
      )}
    </div>
    ${section(
      'Consumers',
      answered(ctx, 'channel', (channel) => consumerTable(ctx, channel.consumer_details ?? []), 3),
    )}`,
};

export default page;

/** @param {any} channel */
function about(channel) {
  const connection = channel.connection_details?.name;
  return facts([
    [
      'Connection',
      connection === undefined
        ? '–'
        : html`<a href=${href('/connections/:name', {name: connection})}>${name(connection)}</a>`,
    ],
    ['User', name(channel.user)],
    ['Vhost', name(channel.vhost)],
    ['Mode', mode(channel)],
    ['Prefetch', channel.prefetch_count === 0 ? 'no limit' : `${count(channel.prefetch_count)} for each consumer`],
    [
      'Prefetch of the channel',
      channel.global_prefetch_count === 0 ? 'no limit' : count(channel.global_prefetch_count),
    ],
    ['Unacknowledged', count(channel.messages_unacknowledged)],
    ['Unconfirmed', count(channel.messages_unconfirmed)],
    [
      'In a transaction',
      channel.transactional
        ? `${count(channel.messages_uncommitted)} messages, ${count(channel.acks_uncommitted)} acks`
        : null,
    ],
  ]);
}

/** @param {Context} ctx */
function chart(ctx) {
  const history = historyOf(ctx);
  const {channel} = ctx.data;
  if (channel !== ctx.state.drawn) {
    ctx.state.drawn = channel;
    for (const [key] of LINES) history.add(key, channel.message_stats?.[`${key}_details`], 'rate', ctx.now);
  }
  const data = {
    label: 'Messages a second',
    ...history.span(),
    format: (/** @type {number} */ value) => `${rate(value)}/s`,
    series: LINES.map(([key, title, tone]) => ({name: title, tone, points: history.of(key)})),
  };
  return html`<time-chart .data=${data}></time-chart>`;
}
