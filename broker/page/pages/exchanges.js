/**
 * All exchanges: a list, and a graph of where messages go through them.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count, rate, UNKNOWN} from '../app/number.js';
import {ApiError} from '../app/api.js';
import {ask} from '../app/ask.js';
import {listOf} from '../app/list.js';
import {api} from '../app/place.js';
import {answered, badge, choice, empty, field, filter, name, ofVhost, tabs} from '../app/ui.js';
import {views} from '../app/views.js';
import {inLine, readTable} from './arguments.js';
import {exchangeLink} from './bindings.js';
import {folded, FOLDED_FROM} from './route-folding.js';
import {routeGraph} from './route-graph.js';
import {around, routesOf} from './routes.js';

/** @typedef {import('../app/types.js').Context} Context */

const COLUMNS = 'name,vhost,type,durable,auto_delete,internal,arguments,policy,message_stats.publish_in_details.rate,message_stats.publish_out_details.rate';
const TYPES = ['direct', 'fanout', 'topic', 'headers', 'x-consistent-hash', 'x-modulus-hash', 'x-random', 'x-local-random', 'x-recent-history', 'x-jms-topic', 'x-delayed-message', 'x-message-deduplication'];
/** More nodes than these are no picture any more. */
const NODES_MAX = 500;

/** @param {Context} ctx */
const isGraph = (ctx) => ctx.query.get('part') === 'graph';
/** @param {Context} ctx */
const vhostOf = (ctx) => ctx.query.get('vhost') ?? ctx.data.vhosts?.[0]?.name ?? '/';

/** @param {Context} ctx */
const list = (ctx) => {
  const vhost = ctx.query.get('vhost');
  return listOf(ctx, {path: vhost === null ? 'exchanges' : api('exchanges/:vhost', {vhost}), columns: COLUMNS, sort: 'name'});
};

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Exchanges',
  hasOwnHead: true,
  ask: (ctx) => ({
    vhosts: api('vhosts', {}, {columns: 'name'}),
    ...(isGraph(ctx) ? askGraph(ctx) : list(ctx).questions()),
  }),
  view: (ctx) => {
    const names = (ctx.data.vhosts ?? []).map((/** @type {any} */ one) => one.name);
    const mayDeclare = names.filter((/** @type {string} */ vhost) => ctx.session.may('declare exchange', {vhost}));
    return html`
      <header class="page-head"><h1>Exchanges</h1><span class="quiet">${isGraph(ctx) ? '' : list(ctx).counted('exchange')}</span>
        ${mayDeclare.length > 0 ? html`<div class="actions"><button type="button" class="button is-main" @click=${() => declare(ctx, mayDeclare)}>Declare…</button></div>` : null}
      </header>
      ${tabs(ctx, [['list', 'List'], ['graph', 'Graph']])}
      ${isGraph(ctx) ? graph(ctx, names) : listed(ctx, names)}`;
  },
};

export default page;

/**
 * @param {Context} ctx
 * @param {string[]} names Of vhosts.
 */
function listed(ctx, names) {
  const shown = list(ctx).view({
    label: 'Exchanges',
    key: (row) => `${row.vhost}\n${row.name}`,
    columns: columns(ctx),
    empty: ctx.query.get('name') || ctx.query.get('vhost') ? 'No exchange fits. Take the filter away to see all.' : empty('No exchanges', 'Each vhost has some of its own.'),
  });
  return html`<div class="toolbar">${filter(ctx, 'Filter by name')}${names.length > 1 ? ofVhost(ctx, names, ctx.query.get('vhost') ?? '', true) : null}
    <span class="toolbar-end">${views(ctx, 'exchanges')}</span></div>${shown}`;
}

/**
 * @param {Context} ctx
 * @returns {import('../app/list.js').Column<any>[]}
 */
function columns(ctx) {
  const speed = (/** @type {string} */ of) => (/** @type {any} */ row) => rate(row.message_stats?.[`${of}_details`]?.rate ?? 0);
  return [
    {id: 'name', title: 'Name', sorts: true, view: (row) => exchangeLink(ctx, row.vhost, row.name)},
    {id: 'vhost', title: 'Vhost', sorts: true, wide: true, width: '6rem', view: (row) => name(row.vhost)},
    {id: 'type', title: 'Type', sorts: true, width: '9rem', view: (row) => badge(row.type, row.type.startsWith('x-') ? 'note' : 'plain')},
    {id: 'features', title: 'Features', wide: true, width: '11rem', view: features},
    {id: 'policy', title: 'Policy', sorts: true, wide: true, width: '8rem', view: (row) => (row.policy ? name(row.policy) : UNKNOWN)},
    {id: 'message_stats.publish_in_details.rate', title: 'In, /s', sorts: true, isNumber: true, width: '5.5rem', view: speed('publish_in')},
    {id: 'message_stats.publish_out_details.rate', title: 'Out, /s', sorts: true, isNumber: true, wide: true, width: '5.5rem', view: speed('publish_out')},
  ];
}

/** @param {any} row */
export function features(row) {
  const has = Object.keys(row.arguments ?? {}).length > 0;
  return html`${row.durable ? null : badge('transient', 'warn', 'Gone when the broker stops')}
    ${row.internal ? badge('internal', 'note', 'Messages come from other exchanges alone') : null}
    ${row.auto_delete ? badge('auto', 'plain', 'Deleted when its last binding goes') : null}
    ${has ? badge('arguments', 'plain', inLine(row.arguments)) : null}`;
}

/**
 * @param {Context} ctx
 * @returns {import('../app/poll.js').Questions} Once, until somebody wants to look again.
 */
function askGraph(ctx) {
  const vhost = vhostOf(ctx);
  const isThere = ctx.state.graphOf === vhost && ['exchanges', 'queues', 'bindings', 'policies'].every((key) => ctx.data[key] !== undefined);
  if (isThere) return {exchanges: undefined, queues: undefined, bindings: undefined, policies: undefined};
  ctx.state.graphOf = vhost;
  return {
    exchanges: api('exchanges/:vhost', {vhost}, {columns: 'name,type,arguments,policy'}),
    queues: api('queues/:vhost', {vhost}, {columns: 'name,arguments,effective_policy_definition', disable_stats: true}),
    bindings: api('bindings/:vhost', {vhost}, {columns: 'source,destination,destination_type,routing_key'}),
    policies: api('policies/:vhost', {vhost}),
  };
}

/**
 * @param {Context} ctx
 * @param {string[]} names
 */
function graph(ctx, names) {
  const vhost = vhostOf(ctx);
  const again = () => {
    ctx.state.graphOf = null;
    ctx.refresh();
  };
  return html`
    <div class="toolbar">
      ${filter(ctx, 'Only what has to do with', 'about')}
      ${names.length > 1 ? ofVhost(ctx, names, vhost) : null}
      <span class="toolbar-end"><button type="button" class="button" @click=${again}>Look again</button></span>
    </div>
    ${answered(ctx, 'bindings', () => answered(ctx, 'queues', () => answered(ctx, 'exchanges', () => picture(ctx, vhost), 8), 8), 8)}`;
}

/**
 * @param {Context} ctx
 * @param {string} vhost
 */
function picture(ctx, vhost) {
  const {exchanges, queues, bindings, policies} = ctx.data;
  if (ctx.state.drawnOf?.bindings !== bindings || ctx.state.drawnOf?.queues !== queues) {
    ctx.state.drawnOf = {bindings, queues, routes: routesOf({exchanges, queues, bindings, policies: policies ?? []})};
  }
  const routes = around(ctx.state.drawnOf.routes, ctx.query.get('about') ?? '');
  const isWhole = ctx.query.get('whole') === '1';
  const shown = isWhole ? routes : folded(routes, ctx.query.get('open') ?? '');
  const {length} = shown.nodes;
  if (length === 0) return empty('Nothing to draw', 'Nothing is bound to an exchange by this name. The default exchange is left out: every queue is bound to it.');
  if (length > NODES_MAX) {
    return empty(`${count(length)} queues and exchanges`, `A picture of more than ${count(NODES_MAX)} says nothing. Name something above, and what has to do with it is drawn.`);
  }
  return html`${routes.nodes.length > FOLDED_FROM ? html`<div class="toolbar">${choice(ctx, 'whole', 'What is drawn', [['', 'queues alike as one'], ['1', 'every queue']])}
      <span class="quiet">${count(routes.nodes.length)} queues and exchanges${isWhole ? '' : '. Queues with the same ways to them and from them are drawn as one: choose one to see each.'}</span></div>` : null}
    ${routeGraph(ctx, shown, {vhost, label: `Where messages go in ${vhost}`})}`;
}

/**
 * @param {Context} ctx
 * @param {string[]} vhosts
 */
function declare(ctx, vhosts) {
  const wanted = vhostOf(ctx);
  return ask({
    title: 'Declare an exchange',
    action: 'Declare',
    fields: () => html`<div class="form">
      ${field('x-name', 'Name', html`<input id="x-name" name="name" required autocomplete="off" spellcheck="false">`)}
      <div class="form-grid">
        ${field('x-vhost', 'Vhost', html`<select id="x-vhost" name="vhost">${each(vhosts, (one) => one, (one) => html`<option value=${one} selected=${one === wanted}>${one}</option>`)}</select>`)}
        ${field('x-type', 'Type', html`<select id="x-type" name="type">${each(TYPES, (one) => one, (one) => html`<option value=${one}>${one}</option>`)}</select>`)}
      </div>
      <div class="row wide-gap">
        <label class="check"><input type="checkbox" name="durable" checked><span>Durable</span></label>
        <label class="check"><input type="checkbox" name="auto_delete"><span>Deleted with its last binding</span></label>
        <label class="check"><input type="checkbox" name="internal"><span>For other exchanges alone</span></label>
      </div>
      ${field('x-arguments', 'Arguments', html`<textarea id="x-arguments" name="arguments" spellcheck="false" placeholder="alternate-exchange = rest"></textarea>`, {help: 'One a line, as name = value, or JSON'})}
    </div>`,
    submit: async (data) => {
      const table = readTable(String(data.get('arguments') ?? ''));
      if (table instanceof Error) return new ApiError('failed', 400, table.message);
      const params = {vhost: String(data.get('vhost')), name: String(data.get('name'))};
      const is = (/** @type {string} */ key) => data.get(key) !== null;
      const body = {type: String(data.get('type')), durable: is('durable'), auto_delete: is('auto_delete'), internal: is('internal'), arguments: table};
      return ctx.change('PUT', api('exchanges/:vhost/:name', params), {body, done: `${params.name} is declared.`});
    },
  });
}
