/**
 * Where a message would go: asked of the broker's own routing, without publishing anything, and lit in a graph.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count} from '../app/number.js';
import {ApiError} from '../app/api.js';
import {api} from '../app/place.js';
import {field, problem, section} from '../app/ui.js';
import {readTable} from './arguments.js';
import {queueLink} from './bindings.js';
import {folded} from './route-folding.js';
import {routeGraph} from './route-graph.js';
import {way} from './routes.js';

/** @typedef {import('../app/types.js').Context} Context */

/** So many bindings that it does not take are drawn beside those it takes. */
const OTHERS = 60;

/** @param {Context} ctx */
export function tester(ctx) {
  const test = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    ctx.setQuery({key: String(data.get('key')), headers: String(data.get('headers'))});
    return ask(ctx, String(data.get('key')), String(data.get('headers')));
  };
  const {query} = ctx;
  // An address that was shared says the answer, too.
  if (ctx.state.way === undefined && query.has('key')) void ask(ctx, query.get('key') ?? '', query.get('headers') ?? '');
  return html`
    <form class="tester" @submit=${test}>
      ${field('r-key', 'Routing key', html`<input id="r-key" name="key" autocomplete="off" spellcheck="false" value=${query.get('key') ?? ''}>`)}
      ${field('r-headers', 'Headers', html`<textarea id="r-headers" name="headers" rows="1" spellcheck="false" placeholder="tenant = north">${query.get('headers') ?? ''}</textarea>`)}
      <button class="button is-main">Show the way</button>
    </form>
    <div role="status" aria-live="polite">${found(ctx)}</div>`;
}

/**
 * @param {Context} ctx
 * @param {string} key
 * @param {string} headers
 */
async function ask(ctx, key, headers) {
  ctx.state.way = null;
  const table = readTable(headers);
  if (table instanceof Error) {
    ctx.state.way = {error: new ApiError('failed', 400, table.message)};
  } else {
    const plan = await ctx.act('POST', api('exchanges/:vhost/:name/route', ctx.params), {body: {routing_key: key, headers: table}});
    ctx.state.way = plan === undefined ? null : {plan};
  }
  ctx.draw();
}

/** @param {Context} ctx */
function found(ctx) {
  const told = ctx.state.way;
  if (told === undefined || told === null) return html`<p class="quiet">Nothing is published: the broker says what it would do with such a message.</p>`;
  if (told.error !== undefined) return problem(told.error);
  const {plan} = told;
  const others = (ctx.data.outgoing ?? []).slice(0, OTHERS);
  return html`
    <div class="findings">
      ${plan.routed
        ? html`<div class="finding is-good"><strong>${count(plan.queues.length)} ${plan.queues.length === 1 ? 'queue' : 'queues'}</strong><p class="queues-in-line">${each(plan.queues, (queue) => queue, (queue) => html`<span>${queueLink(ctx, ctx.params.vhost, String(queue))}</span>`)}</p></div>`
        : html`<div class="finding is-bad"><strong>Nowhere</strong><p>No binding fits, and no alternate exchange takes it. A publisher that set mandatory gets it back; without, it is dropped.</p></div>`}
      ${plan.delayed ? html`<div class="finding is-note"><strong>Later</strong><p>It waits first, as its header x-delay says.</p></div>` : null}
      ${plan.complete ? null : html`<div class="finding is-warn"><strong>Cut</strong><p>It goes on further than is told here.</p></div>`}
    </div>
    ${section('The way it takes', routeGraph(ctx, folded(way(plan, others), ctx.query.get('open') ?? ''), {vhost: ctx.params.vhost, label: 'The way of the message', key: 'wayGraph'}), {text: 'lit, among bindings that it does not take'})}`;
}
