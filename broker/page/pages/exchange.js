/**
 * One exchange: what comes to it and goes from it, and where a message would go.
 *
 * @module
 */

import '../parts/chart.js';

import {html} from '../parts/html.js';
import {count, rate} from '../app/number.js';
import {confirm} from '../app/dialog.js';
import {historyOf, RANGE_CHOICES, RANGE_MEANT} from '../app/history.js';
import {api, href} from '../app/place.js';
import {answered, badge, choice, facts, name, section, tabs} from '../app/ui.js';
import {inLine} from './arguments.js';
import {bind, bindingTable} from './bindings.js';
import {delayed} from './exchange-delayed.js';
import {features} from './exchanges.js';
import {askDelayed} from './messages-asked.js';
import {publish} from './publish.js';
import {tester} from './route-tester.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @param {Context} ctx */
const isDefault = (ctx) => ctx.params.name === 'amq.default';
/** @param {Context} ctx */
const called = (ctx) => (isDefault(ctx) ? '(default exchange)' : ctx.params.name);
/** @param {Context} ctx */
const isTester = (ctx) => ctx.query.get('part') === 'route';
/** @param {Context} ctx */
const isDelayed = (ctx) => ctx.query.get('part') === 'delayed';

/** @type {import('../app/types.js').Page} */
const page = {
  title: called,
  hasOwnHead: true,
  ask: (ctx) => ({
    exchange: api('exchanges/:vhost/:name', ctx.params, isTester(ctx) ? {} : historyOf(ctx).query(['msg_rates'], ctx.now)),
    // Every queue is bound to the default exchange: a list of all queues says nothing more.
    outgoing: isDefault(ctx) ? null : api('exchanges/:vhost/:name/bindings/source', ctx.params),
    incoming: isDefault(ctx) || isTester(ctx) ? null : api('exchanges/:vhost/:name/bindings/destination', ctx.params),
    messages: isDelayed(ctx) && ctx.session.may('browse exchange', ctx.params) ? askDelayed(ctx) : null,
  }),
  view: (ctx) => html`
    ${head(ctx)}
    ${tabs(ctx, [['bindings', 'Bindings'], ['route', 'Where would it go'], ['delayed', 'Delayed']])}
    ${ctx.errors.exchange?.kind === 'gone' ? answered(ctx, 'exchange', () => null) : isTester(ctx) ? tester(ctx) : isDelayed(ctx) ? delayed(ctx) : about(ctx)}`,
};

export default page;

/** @param {Context} ctx */
function head(ctx) {
  const {exchange} = ctx.data;
  const {vhost} = ctx.params;
  const thing = {vhost, name: ctx.params.name, internal: exchange?.internal};
  const [mayPublish, mayDelete] = ['publish to exchange', 'delete exchange'].map((act) => exchange !== undefined && ctx.session.may(act, thing));
  const to = {vhost, exchange: isDefault(ctx) ? '' : ctx.params.name, key: ''};
  return html`<header class="page-head">
    <h1><a class="above" href=${href('/exchanges')}>Exchanges</a> ${name(called(ctx))}</h1>
    <span class="row">${exchange === undefined ? null : html`${badge(exchange.type, 'note')} ${features(exchange)}`}
      ${vhost === '/' ? null : badge(html`vhost ${name(vhost)}`)}</span>
    ${mayPublish || mayDelete ? html`<div class="actions">
      ${mayPublish ? html`<button type="button" class="button" @click=${() => publish(ctx, to)}>Publish…</button>` : null}
      ${mayDelete ? html`<button type="button" class="button is-bad" @click=${() => remove(ctx)}>Delete…</button>` : null}
    </div>` : null}
  </header>`;
}

/** @param {Context} ctx */
function about(ctx) {
  const thing = /** @type {const} */ ({kind: 'exchange', vhost: ctx.params.vhost, name: ctx.params.name});
  const button = (/** @type {string} */ act, /** @type {string} */ text, /** @type {any} */ ends) => (ctx.session.may(act, thing) ? html`<button type="button" class="button" @click=${() => bind(ctx, ends)}>${text}</button>` : null);
  return html`
    <div class="columns">
      ${section('Traffic', traffic(ctx), {text: 'messages a second', actions: choice(ctx, 'range', 'Time', RANGE_CHOICES, RANGE_MEANT)})}
      ${section('About', answered(ctx, 'exchange', (exchange) => facts([
        ['Type', exchange.type],
        ['Arguments', html`<code>${name(inLine(exchange.arguments) || 'none')}</code>`],
        ['Policy', exchange.policy ? html`<a href=${href('/policies', {}, {name: exchange.policy})}>${name(exchange.policy)}</a>` : 'none applies'],
        ['Taken', count(exchange.message_stats?.publish_in)],
        ['Passed on', count(exchange.message_stats?.publish_out)],
      ]), 5))}
    </div>
    ${isDefault(ctx)
      ? section('From it', html`<p class="quiet">Every queue is bound to it by its own name, and nothing else can be.</p>`)
      : html`${section('From it', answered(ctx, 'outgoing', (rows) => bindingTable(ctx, rows, 'destination')), {actions: button('bind from exchange', 'Bind from it…', {source: thing})})}
        ${section('To it', answered(ctx, 'incoming', (rows) => bindingTable(ctx, rows, 'source')), {text: 'from other exchanges', actions: button('bind exchange', 'Bind to it…', {destination: thing})})}`}`;
}

/** @param {Context} ctx */
function traffic(ctx) {
  const history = historyOf(ctx);
  const {exchange} = ctx.data;
  if (exchange !== undefined && exchange !== ctx.state.drawn) {
    ctx.state.drawn = exchange;
    for (const of of ['publish_in', 'publish_out']) history.add(of, exchange.message_stats?.[`${of}_details`], 'rate', ctx.now);
  }
  const data = {label: 'Messages a second', ...history.span(), format: (/** @type {number} */ value) => `${rate(value)}/s`, series: [
    {name: 'In', tone: '1', points: history.of('publish_in')},
    {name: 'Out, to queues', tone: '2', points: history.of('publish_out')},
  ]};
  return html`<time-chart .data=${data}></time-chart>`;
}

/** @param {Context} ctx */
async function remove(ctx) {
  const [outgoing, incoming] = [ctx.data.outgoing?.length ?? 0, ctx.data.incoming?.length ?? 0];
  const answer = await confirm({
    title: `Delete the exchange ${ctx.params.name}?`,
    text: html`<p>${count(outgoing)} bindings from it and ${count(incoming)} to it go with it. Clients that publish to it get an error.</p>`,
    action: 'Delete',
    typed: ctx.params.name,
  });
  if (answer === null) return;
  await ctx.act('DELETE', api('exchanges/:vhost/:name', ctx.params), {done: `${ctx.params.name} is deleted.`, go: '/exchanges'});
}
