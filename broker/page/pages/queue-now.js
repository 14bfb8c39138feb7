/**
 * What a queue is doing now: what is wrong first, then how much, how it went, and each of its consumers.
 *
 * @module
 */

import '../parts/table.js';

import {each, html} from '../parts/html.js';
import {bytes, count, rate, UNKNOWN} from '../app/number.js';
import {duration, roughly} from '../app/time.js';
import {causeOf} from '../app/causes.js';
import {confirm} from '../app/dialog.js';
import {RANGE_CHOICES, RANGE_MEANT} from '../app/history.js';
import {api, href} from '../app/place.js';
import {sorted} from '../app/sorting.js';
import {answered, badge, choice, name, readout, section, skeleton, when} from '../app/ui.js';
import {channelLink} from './channels.js';
import {findings} from './queue-findings.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {import('../app/history.js').History} History */

const LEVELS = ['messages_ready', 'messages_unacknowledged'];
const MOVING = ['publish', 'deliver_get', 'ack', 'redeliver'];

/** How a consumer is doing, in the words of the API. */
/** @type {Record<string, [string, 'good' | 'warn' | 'bad' | 'note', string]>} */
const STANDINGS = {
  ready: ['ready', 'good', 'It gets the next message'],
  waits_its_turn: ['waits', 'note', 'Another one gets all messages until it is gone'],
  at_prefetch: ['at prefetch', 'warn', 'It holds as many messages as it may'],
  held_back: ['held back', 'bad', 'Its client does not read, or its channel holds as many as it may'],
};

/**
 * @param {Context} ctx
 * @param {History} history
 */
export function now(ctx, history) {
  return html`
    ${why(ctx)}
    ${answered(ctx, 'queue', (queue) => figures(ctx, queue), 2)}
    ${charts(ctx, history)}
    ${section('Consumers', answered(ctx, 'why', (told) => consumers(ctx, told.consumers), 3), {text: latency(ctx.data.why)})}`;
}

/** @param {Context} ctx */
function why(ctx) {
  const told = ctx.data.why;
  return html`<section aria-label="What is stuck, and why"><div class="findings">
    ${told === undefined
      ? ctx.errors.why === undefined || ctx.errors.why.kind === 'lost' ? skeleton(1) : answered(ctx, 'why', () => null)
      : each(findings(told, ctx.now), ({id}) => id, ({tone, word, text}) => html`<div class=${`finding is-${tone}`}>
        <strong>${word}</strong><p>${text}</p></div>`)}
    ${told === undefined ? null : each(told.publishers_held_details, (/** @type {any} */ one) => one.name, (/** @type {any} */ one) => html`<div class="finding is-warn">
      <strong>Waits</strong><p><a href=${href('/connections/:name', one)}>${name(one.name)}</a> of ${name(one.user)}, held back by ${causeOf(one.held_by)} since ${when(one.since_ms, ctx.now)}</p></div>`)}
  </div></section>`;
}

/**
 * @param {Context} ctx
 * @param {any} queue
 */
function figures(ctx, queue) {
  const speed = (/** @type {string} */ of) => rate(queue.message_stats?.[`${of}_details`]?.rate ?? 0);
  const age = (/** @type {unknown} */ at) => (typeof at === 'number' ? roughly(Math.max(0, ctx.now - at)) : UNKNOWN);
  return readout([
    {label: 'Ready', value: count(queue.messages_ready), help: 'Messages that wait for a consumer', tone: queue.messages_ready > 0 && queue.consumers === 0 ? 'bad' : undefined},
    {label: 'Unacknowledged', value: count(queue.messages_unacknowledged), help: 'Messages that consumers have'},
    {label: 'Delayed', value: count(queue.messages_delayed), help: 'Messages that wait for their time'},
    {label: 'Oldest ready', value: age(queue.oldest_ready_ms), help: 'How long the oldest message waits'},
    {label: 'Published', value: speed('publish'), unit: '/s'},
    {label: 'Delivered', value: speed('deliver_get'), unit: '/s'},
    {label: 'Acknowledged', value: speed('ack'), unit: '/s'},
    {label: 'Size', value: bytes(queue.message_bytes), help: `${bytes(queue.memory)} of them in memory`},
  ]);
}

/**
 * @param {Context} ctx
 * @param {History} history
 */
function charts(ctx, history) {
  const {queue} = ctx.data;
  if (queue !== undefined && queue !== ctx.state.drawn) {
    ctx.state.drawn = queue;
    for (const of of LEVELS) history.add(of, queue[`${of}_details`], 'sample', ctx.now);
    for (const of of MOVING) history.add(of, queue.message_stats?.[`${of}_details`], 'rate', ctx.now);
  }
  const span = history.span();
  const line = (/** @type {string} */ called, /** @type {string} */ key, /** @type {string} */ tone) => ({name: called, tone, points: history.of(key)});
  const lengths = {label: 'Messages in the queue', ...span, format: count, series: [line('Ready', 'messages_ready', '2'), line('Unacknowledged', 'messages_unacknowledged', '1')]};
  const moving = {label: 'Messages a second', ...span, format: (/** @type {number} */ value) => `${rate(value)}/s`, series: [
    line('Published', 'publish', '1'), line('Delivered', 'deliver_get', '2'), line('Acknowledged', 'ack', '3'), line('Redelivered', 'redeliver', '4'),
  ]};
  return html`<div class="columns">
    ${section('In the queue', html`<time-chart .data=${lengths}></time-chart>`, {text: 'messages'})}
    ${section('In and out', html`<time-chart .data=${moving}></time-chart>`, {text: 'messages a second', actions: choice(ctx, 'range', 'Time', RANGE_CHOICES, RANGE_MEANT)})}
  </div>`;
}

/**
 * @param {any} told
 * @returns {string} How long its consumers take.
 */
function latency(told) {
  const times = told?.ack_times;
  if (times === undefined || times.count === 0) return '';
  return `Half of ${count(times.count)} acknowledgements came within ${duration(times.half_below_ms)}, 99 of 100 within ${duration(times.most_below_ms)}`;
}

/** Whose delivery is the oldest stands first, unless somebody wants otherwise. */
const OLDEST_FIRST = 'oldest_unacknowledged_ms';

/**
 * @param {Context} ctx
 * @param {any[]} all
 */
function consumers(ctx, all) {
  if (all.length === 0) return html`<p class="quiet">Nobody consumes from this queue.</p>`;
  const sort = ctx.query.get('sort') ?? OLDEST_FIRST;
  const of = (/** @type {any} */ one, /** @type {string} */ column) => (column.startsWith('ack_times.') ? one.ack_times[column.slice(10)] : one[column]);
  return html`<data-table .data=${{
    label: 'Consumers',
    key: (/** @type {any} */ one) => `${one.channel} ${one.consumer_tag}`,
    columns: columns(ctx, all),
    rows: sorted(all, sort, of),
    sort,
    onSort: (/** @type {string} */ next) => ctx.setQuery({sort: next === OLDEST_FIRST ? null : next}),
  }}></data-table>`;
}

/**
 * @param {Context} ctx
 * @param {any[]} all
 * @returns {import('../app/list.js').Column<any>[]}
 */
function columns(ctx, all) {
  const number = (/** @type {string} */ id, /** @type {string} */ title, /** @type {string} */ width, /** @type {any} */ more = {}) =>
    ({id, title, width, isNumber: true, sorts: true, view: (/** @type {any} */ one) => count(one[id]), ...more});
  const mayEnd = all.some((one) => ctx.session.may('end of', one));
  return [
    {id: 'consumer_tag', title: 'Tag', sorts: true, width: '8.25rem', view: (one) => name(one.consumer_tag)},
    {id: 'channel', title: 'Channel', sorts: true, wide: true, width: '9.5rem', view: (one) => channel(ctx, one)},
    {id: 'user', title: 'User', sorts: true, wide: true, width: '4.75rem', view: (one) => (one.user ? name(one.user) : UNKNOWN)},
    {id: 'standing', title: 'State', sorts: true, width: '6.25rem', view: standing},
    number('prefetch_count', 'Prefetch', '5rem', {wide: true, view: (/** @type {any} */ one) => (one.prefetch_count === 0 ? 'no limit' : count(one.prefetch_count))}),
    number('messages_unacknowledged', 'Unacked', '5.25rem', {wide: true}),
    // A phone has place for this or for what can be done.
    number('oldest_unacknowledged_ms', 'Oldest unacked', '8.25rem', {
      wide: mayEnd,
      sortsDown: false,
      help: 'When the oldest delivery was made that it has not acknowledged',
      view: (/** @type {any} */ one) => when(one.oldest_unacknowledged_ms, ctx.now),
    }),
    number('ack_times.half_below_ms', 'Takes', '6.25rem', {wide: true, help: 'Half of its acknowledgements came within the first, 99 of 100 within the second', view: takes}),
    number('deliveries', 'Delivered', '5.25rem', {wide: true}),
    number('last_delivery_ms', 'Last delivery', '6.75rem', {wide: true, view: (/** @type {any} */ one) => when(one.last_delivery_ms, ctx.now)}),
    ...(mayEnd ? [{id: 'cancel', title: '', width: '5rem', view: (/** @type {any} */ one) => (ctx.session.may('end of', one) && one.channel !== null
      ? html`<button type="button" class="link" @click=${() => cancel(ctx, one)}>Cancel…</button>` : null)}] : []),
  ];
}

/**
 * @param {Context} ctx
 * @param {any} one
 */
function channel(ctx, one) {
  if (one.channel === null) return UNKNOWN;
  return channelLink(ctx, {name: one.channel, user: one.user});
}

/** @param {any} one */
function standing(one) {
  const [word, tone, help] = STANDINGS[one.standing] ?? [one.standing, 'note', ''];
  return html`${badge(word, tone, help)} ${one.ack_required ? null : badge('automatic', 'plain', 'What is sent counts as done')}`;
}

/** @param {any} one */
function takes({ack_times: times}) {
  return times.count === 0 ? UNKNOWN : `${duration(times.half_below_ms)} / ${duration(times.most_below_ms)}`;
}

/**
 * @param {Context} ctx
 * @param {any} one
 */
async function cancel(ctx, one) {
  const answer = await confirm({
    title: `Cancel the consumer ${one.consumer_tag}?`,
    text: html`<p>${count(one.messages_unacknowledged)} messages that it has stay with it. Its client is told; many subscribe again by themselves.</p>`,
    action: 'Cancel the consumer',
  });
  if (answer === null) return;
  const params = {vhost: ctx.params.vhost, channel: one.channel, tag: one.consumer_tag};
  await ctx.act('DELETE', api('consumers/:vhost/:channel/:tag', params), {done: `${one.consumer_tag} is cancelled.`});
}
