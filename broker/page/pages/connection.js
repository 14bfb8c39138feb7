/**
 * One connection: who it is, whether something holds it back, what goes over it, and its channels.
 *
 * @module
 */

import '../parts/chart.js';

import {html} from '../parts/html.js';
import {bytes, count, rate} from '../app/number.js';
import {confirm} from '../app/dialog.js';
import {historyOf, RANGE_CHOICES, RANGE_MEANT} from '../app/history.js';
import {api, href} from '../app/place.js';
import {answered, badge, choice, facts, field, name, section, when} from '../app/ui.js';
import {queueLink} from './bindings.js';
import {called, client, state} from './connections.js';
import {channelState} from './channels.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {import('../app/types.js').Page} */
const page = {
  title: (ctx) => (ctx.data.connection === undefined ? ctx.params.name : called(ctx.data.connection)),
  hasOwnHead: true,

  ask: (ctx) => ({
    connection: api('connections/:name', ctx.params, historyOf(ctx).query(['data_rates'], ctx.now)),
    why: api('connections/:name/why', ctx.params),
    channels: api('connections/:name/channels', ctx.params),
  }),

  view: (ctx) => html`
    <header class="page-head">
      <h1>${name(page.title(ctx))}</h1>
      ${ctx.data.connection === undefined ? null : state(ctx.data.connection)}
      ${
        ctx.data.connection !== undefined && ctx.session.may('end of', ctx.data.connection)
          ? html`<div class="actions"><button type="button" class="button is-bad" @click=${() => close(ctx)}>Close…</button></div>`
          : null
      }
    </header>
    ${answered(ctx, 'why', (why) => held(ctx, why), 1)}
    <div class="columns">
      ${section(
        'About',
        answered(ctx, 'connection', (connection) => about(ctx, connection), 8),
      )}
      ${section(
        'Traffic',
        answered(ctx, 'connection', () => traffic(ctx), 5),
        {text: 'bytes a second', actions: choice(ctx, 'range', 'Time', RANGE_CHOICES, RANGE_MEANT)},
      )}
    </div>
    ${section('Channels', answered(ctx, 'channels', channels, 3))}
    ${section(
      'What the client says of itself',
      answered(
        ctx,
        'connection',
        ({client_properties: properties}) => html`<pre tabindex="0">${JSON.stringify(properties, null, 2)}</pre>`,
        5,
      ),
    )}`,
};

export default page;

/**
 * What holds a connection back, and so all of its channels.
 *
 * @param {Context} ctx
 * @param {any} why
 */
export function held(ctx, why) {
  if (!why.is_held) return null;
  const queue =
    why.queue === null
      ? null
      : html` ${queueLink(ctx, why.vhost, why.queue)}`;
  return html`<div class="findings"><div class="finding is-warn"><strong>Held back</strong>
    <p>${why.text}, since ${when(why.since_ms, ctx.now)}.${queue}</p><span></span></div></div>`;
}

/**
 * @param {Context} ctx
 * @param {any} connection
 */
function about(ctx, connection) {
  const tls = connection.ssl ? [connection.ssl_protocol, connection.ssl_cipher].filter(Boolean).join(', ') : 'no';
  return facts([
    ['Name', name(connection.name)],
    ['User', name(connection.user)],
    ['Vhost', name(connection.vhost)],
    ['Client', client(connection)],
    ['From', html`<code>${connection.peer_host}:${connection.peer_port}</code>`],
    ['To', html`<code>${connection.host}:${connection.port}</code>`],
    ['Connected', when(connection.connected_at, ctx.now)],
    ['Protocol', connection.protocol],
    ['TLS', tls],
    ['Certificate', connection.peer_cert_subject ? name(connection.peer_cert_subject) : null],
    ['Logged in by', connection.auth_mechanism],
    ['Heartbeat', connection.timeout === 0 ? 'none' : `every ${connection.timeout} s`],
    ['Frames up to', bytes(connection.frame_max)],
    ['Channels', `${count(connection.channels)} of at most ${count(connection.channel_max)}`],
    ['Received', bytes(connection.recv_oct)],
    ['Sent', `${bytes(connection.send_oct)}, ${bytes(connection.send_pend)} on their way`],
  ]);
}

/** @param {Context} ctx */
function traffic(ctx) {
  const history = historyOf(ctx);
  const {connection} = ctx.data;
  if (connection !== ctx.state.drawn) {
    ctx.state.drawn = connection;
    history.add('in', connection.recv_oct_details, 'rate', ctx.now);
    history.add('out', connection.send_oct_details, 'rate', ctx.now);
  }
  const data = {
    label: 'Bytes a second',
    ...history.span(),
    format: (/** @type {number} */ value) => `${bytes(value)}/s`,
    series: [
      {name: 'From the client', tone: '1', points: history.of('in')},
      {name: 'To the client', tone: '2', points: history.of('out')},
    ],
  };
  return html`<time-chart .data=${data}></time-chart>`;
}

/** @param {any[]} rows */
function channels(rows) {
  if (rows.length === 0) return html`<p>It has no channel.</p>`;
  return html`<div class="table-scroll is-low" tabindex="0" role="group" aria-label="Channels"><table class="free">
    <thead><tr><th scope="col">Channel</th><th scope="col">State</th><th scope="col">Mode</th>
      <th scope="col" class="is-number">Consumers</th><th scope="col" class="is-number">Unacked</th>
      <th scope="col" class="is-number">Published, /s</th><th scope="col" class="is-number">Delivered, /s</th></tr></thead>
    <tbody>${rows.map(
      (row) => html`<tr>
      <td><a href=${href('/channels/:name', row)}>${row.number}</a></td>
      <td>${channelState(row)}</td>
      <td>${row.transactional ? badge('transactions') : row.confirm ? badge('confirms') : '–'}</td>
      <td class="is-number">${count(row.consumer_count)}</td>
      <td class="is-number">${count(row.messages_unacknowledged)}</td>
      <td class="is-number">${rate(row.message_stats?.publish_details?.rate ?? 0)}</td>
      <td class="is-number">${rate(row.message_stats?.deliver_get_details?.rate ?? 0)}</td>
    </tr>`,
    )}</tbody>
  </table></div>`;
}

/** @param {Context} ctx */
async function close(ctx) {
  const {connection} = ctx.data;
  const answer = await confirm({
    title: `Close ${called(connection)}?`,
    text: html`<p>Its ${count(connection.channels)} channels and their consumers end; what they have not acknowledged goes back to
      the queues. Most clients connect again by themselves.</p>`,
    fields: field(
      'reason',
      'Reason',
      html`<input id="reason" name="reason" autocomplete="off" placeholder="Closed via management plugin">`,
      {help: 'The client is told, and the log.'},
    ),
    action: 'Close',
  });
  if (answer === null) return;
  const reason = String(answer.get('reason') ?? '');
  // A header holds nothing but these.
  const safe = reason.replace(/[^\x20-\x7e]/g, '?');
  /** @type {Record<string, string>} */
  const headers = safe === '' ? {} : {'x-reason': safe};
  await ctx.act('DELETE', api('connections/:name', ctx.params), {
    headers,
    done: `${called(connection)} is closed.`,
    go: '/connections',
  });
}
