/**
 * The broker at a glance: what needs attention first, then how much, how fast, and what of it.
 *
 * @module
 */

import '../parts/chart.js';

import {each, html} from '../parts/html.js';
import {bytes, count, rate} from '../app/number.js';
import {duration} from '../app/time.js';
import {historyOf, LONG_RANGE_CHOICES, RANGE_MEANT} from '../app/history.js';
import {keyOf} from '../app/named.js';
import {hasPage} from '../app/pages.js';
import {api, href} from '../app/place.js';
import {answered, choice, meter, readout, section, skeleton} from '../app/ui.js';
import {Dying} from './overview-deaths.js';
import {findings, LOOKED_AT} from './overview-findings.js';

/** @typedef {import('../app/types.js').Context} Context */

const MESSAGES = ['publish', 'confirm', 'deliver_get', 'ack', 'redeliver', 'return_unroutable', 'drop_unroutable'];
const LEVELS = ['messages_ready', 'messages_unacknowledged'];
const CHURN = [
  'connection_created',
  'connection_closed',
  'channel_created',
  'channel_closed',
  'queue_declared',
  'queue_created',
  'queue_deleted',
];

/** In seconds: the broker looks at all of its queues, and connections, for it. */
const LOOKED_EVERY = 15;

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Overview',

  ask: (ctx) => {
    const history = historyOf(ctx);
    const columns = [
      'object_totals',
      'deaths',
      'listeners',
      'certificates',
      'disable_stats',
      'leveret_version',
      'rabbitmq_version',
      'node',
      ...CHURN.map((name) => `churn_rates.${name}_details.rate`),
      ...LEVELS.flatMap((name) => [`queue_totals.${name}`, `queue_totals.${name}_details.samples`]),
      ...MESSAGES.flatMap((name) => [`message_stats.${name}_details.rate`, `message_stats.${name}_details.samples`]),
    ];
    const node =
      'name,uptime,os_pid,mem_used,mem_limit,mem_alarm,disk_free,disk_free_limit,disk_free_alarm,fd_used,fd_total,sockets_used,sockets_total,processors,db_dir';
    const queue =
      'name,vhost,standing,messages_ready,messages_unacknowledged,consumers,oldest_ready_ms,oldest_unacknowledged_ms,paused,messages_ready_details.rate,message_stats.deliver_get_details.rate';
    return {
      overview: api('overview', {}, {columns: columns.join(','), ...history.query(['lengths', 'msg_rates'], ctx.now)}),
      nodes: ctx.session.is('monitoring') ? api('nodes', {}, {columns: node}) : null,
      leading: {path: api('overview/queues', {}, {size: LOOKED_AT, columns: queue}), every: LOOKED_EVERY},
      held: {
        path: api(
          'connections',
          {},
          {
            sort: 'held_by',
            sort_reverse: true,
            page: 1,
            page_size: LOOKED_AT,
            columns: 'name,user,held_by,state,user_provided_name',
          },
        ),
        every: LOOKED_EVERY,
      },
    };
  },

  view: (ctx) => html`
    ${attention(ctx)}
    ${answered(ctx, 'overview', (overview) => figures(overview), 2)}
    ${charts(ctx)}
    <div class="columns">
      ${
        ctx.session.is('monitoring')
          ? section(
              'Node',
              answered(ctx, 'nodes', ([node]) => nodeView(node), 4),
              {text: nodeText(ctx)},
            )
          : null
      }
      ${section('Coming and going', answered(ctx, 'overview', churn, 4), {text: 'a second, now'})}
    </div>
    ${ctx.session.is('monitoring') ? section('Listening', answered(ctx, 'overview', listeners, 3)) : null}`,
};

export default page;

/** @param {Context} ctx */
function attention(ctx) {
  const {overview, nodes, leading, held} = ctx.data;
  if (overview === undefined || leading === undefined) {
    return html`<section aria-label="What needs attention"><div class="findings">${skeleton(1)}</div></section>`;
  }
  const dying = (ctx.state.dying ??= new Dying());
  const deaths = dying.since(overview.deaths, ctx.now);
  const found = findings(
    {
      overview,
      node: nodes?.[0],
      // The largest are not always those that are worst off: what stands still may be small.
      waiting: once([...leading.standing, ...leading.ready_for_ms, ...leading.messages_ready]),
      unacked: leading.unacknowledged_for_ms,
      held: held?.items ?? [],
      deaths,
    },
    ctx.now,
  );
  return html`<section aria-label="What needs attention"><div class="findings">
    ${
      found.length === 0
        ? html`<div class="finding is-good"><strong>All is well</strong>
      <p>No alarms, nothing waits without a consumer, nobody is held back.</p></div>`
        : null
    }
    ${each(
      found,
      ({id}) => id,
      ({tone, word, text, at}) => html`<div class=${`finding is-${tone}`}>
      <strong>${word}</strong><p>${text}</p>${at !== undefined && hasPage(at.pattern) ? html`<a href=${href(at.pattern, at.params, at.query)}>Show<span class="hidden"> ${word}</span></a>` : html`<span></span>`}
    </div>`,
    )}
  </div></section>`;
}

/**
 * @param {{vhost: string, name: string}[]} queues
 * @returns {any[]} Each once.
 */
function once(queues) {
  return [...new Map(queues.map((queue) => [keyOf(queue), queue])).values()];
}

/** @param {any} overview */
function figures(overview) {
  const {object_totals: objects, queue_totals: queues, message_stats: stats} = overview;
  const perSecond = (/** @type {string} */ name) => rate(stats?.[`${name}_details`]?.rate);
  return readout([
    {label: 'Ready', value: count(queues?.messages_ready), help: 'Messages that wait for a consumer'},
    {
      label: 'Unacknowledged',
      value: count(queues?.messages_unacknowledged),
      help: 'Messages that consumers have and did not acknowledge',
    },
    {label: 'Published', value: perSecond('publish'), unit: '/s'},
    {label: 'Delivered', value: perSecond('deliver_get'), unit: '/s'},
    {label: 'Acknowledged', value: perSecond('ack'), unit: '/s'},
    {label: 'Queues', value: count(objects.queues)},
    {label: 'Consumers', value: count(objects.consumers)},
    {label: 'Connections', value: count(objects.connections)},
    {label: 'Channels', value: count(objects.channels)},
  ]);
}

/** @param {Context} ctx */
function charts(ctx) {
  const history = historyOf(ctx);
  const {overview} = ctx.data;
  if (overview !== undefined && overview !== ctx.state.drawn) {
    ctx.state.drawn = overview;
    for (const name of LEVELS) history.add(name, overview.queue_totals?.[`${name}_details`], 'sample', ctx.now);
    for (const name of MESSAGES) history.add(name, overview.message_stats?.[`${name}_details`], 'rate', ctx.now);
  }
  const span = history.span();
  const line = (/** @type {string} */ name, /** @type {string} */ key, /** @type {string} */ tone) => ({
    name,
    tone,
    points: history.of(key),
  });
  const perSecond = (/** @type {number} */ value) => `${rate(value)}/s`;
  const waiting = {
    label: 'Messages in queues',
    ...span,
    format: count,
    series: [line('Ready', 'messages_ready', '2'), line('Unacknowledged', 'messages_unacknowledged', '1')],
  };
  const moving = {
    label: 'Messages a second',
    ...span,
    format: perSecond,
    series: [
      line('Published', 'publish', '1'),
      line('Confirmed', 'confirm', '5'),
      line('Delivered', 'deliver_get', '2'),
      line('Acknowledged', 'ack', '3'),
      line('Redelivered', 'redeliver', '4'),
      line('Unroutable', 'return_unroutable', '6'),
    ],
  };
  const ranges = choice(ctx, 'range', 'Time', LONG_RANGE_CHOICES, RANGE_MEANT);
  return html`<div class="columns">
    ${section('In queues', html`<time-chart .data=${waiting}></time-chart>`, {text: 'messages'})}
    ${section('On their way', html`<time-chart .data=${moving}></time-chart>`, {text: 'messages a second', actions: ranges})}
  </div>`;
}

/** @param {Context} ctx */
function nodeText(ctx) {
  const node = ctx.data.nodes?.[0];
  const overview = ctx.data.overview;
  if (node === undefined || overview === undefined) return '';
  return html`<bdi>${node.name}</bdi>, up ${duration(node.uptime)}, Leveret ${overview.leveret_version}, to clients RabbitMQ ${overview.rabbitmq_version}`;
}

/** @param {any} node */
function nodeView(node) {
  // As much above the limit as below it, so that the line shows how far away it is.
  const disk = Math.max(4 * node.disk_free_limit, node.disk_free);
  return html`
    ${meter({label: 'Memory', used: node.mem_used, limit: node.mem_limit, format: bytes, help: 'At the limit publishers are held back'})}
    ${meter({
      label: 'Free disk',
      used: node.disk_free,
      limit: disk,
      tick: node.disk_free_limit / disk,
      format: bytes,
      isReverse: true,
      text: `${bytes(node.disk_free)}, alarm below ${bytes(node.disk_free_limit)}`,
      help: 'Below the line publishers are held back',
    })}
    ${meter({label: 'File descriptors', used: node.fd_used, limit: node.fd_total, format: count})}
    ${meter({label: 'Sockets', used: node.sockets_used, limit: node.sockets_total, format: count})}`;
}

/** @param {any} overview */
function churn({churn_rates: rates}) {
  const of = (/** @type {string} */ name) => rate(rates?.[`${name}_details`]?.rate);
  const rows = [
    ['Connections', of('connection_created'), of('connection_closed')],
    ['Channels', of('channel_created'), of('channel_closed')],
    ['Queues', of('queue_created'), of('queue_deleted')],
  ];
  return html`<table class="plain-table">
    <thead><tr><th scope="col">What</th><th scope="col" class="is-number">Opened or made</th><th scope="col" class="is-number">Closed or deleted</th></tr></thead>
    <tbody>${rows.map(([what, made, gone]) => html`<tr><td>${what}</td><td class="is-number">${made}</td><td class="is-number">${gone}</td></tr>`)}</tbody>
  </table>`;
}

/** @param {any} overview */
function listeners({listeners: all}) {
  return html`<table class="plain-table">
    <thead><tr><th scope="col">What is spoken</th><th scope="col">Address</th><th scope="col" class="is-number">Port</th><th scope="col">Encrypted</th></tr></thead>
    <tbody>${all.map(
      (/** @type {any} */ one) => html`<tr><td>${one.protocol}</td><td><code>${one.ip_address}</code></td>
      <td class="is-number">${one.port}</td><td>${one.tls ? 'with TLS' : 'no'}</td></tr>`,
    )}</tbody>
  </table>`;
}
