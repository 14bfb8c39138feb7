/**
 * One queue: what is stuck and why, how it went, who consumes, its messages, its bindings and its arguments.
 *
 * @module
 */

import '../parts/chart.js';

import {html} from '../parts/html.js';
import {historyOf} from '../app/history.js';
import {api, href} from '../app/place.js';
import {answered, badge, empty, name, tabs} from '../app/ui.js';
import {argumentsView} from './queue-arguments.js';
import {pause, purge, remove, resume} from './queue-actions.js';
import {kind, state} from './queue-columns.js';
import {now} from './queue-now.js';
import {bindingsOf} from './bindings.js';
import {messagesView} from './messages.js';
import {askMessages, stateOf} from './messages-asked.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {[string, string][]} */
const PARTS = [['now', 'Now'], ['messages', 'Messages'], ['bindings', 'Bindings'], ['arguments', 'Arguments']];

/** @param {Context} ctx */
const part = (ctx) => ctx.query.get('part') ?? PARTS[0][0];

/** @param {Context} ctx */
const thing = (ctx) => ({vhost: ctx.params.vhost, name: ctx.params.name, exclusive: ctx.data.queue?.exclusive === true});

/** @type {import('../app/types.js').Page} */
const page = {
  title: (ctx) => ctx.params.name,
  hasOwnHead: true,

  ask: (ctx) => {
    const at = part(ctx);
    const samples = at === 'now' ? historyOf(ctx).query(['lengths', 'msg_rates'], ctx.now) : {};
    return {
      queue: api('queues/:vhost/:name', ctx.params, samples),
      // What happened to the broker is marked in charts of a queue, too.
      nodes: at === 'now' && ctx.session.is('monitoring') ? api('nodes', {}, {columns: 'uptime,mem_alarm,disk_free_alarm'}) : null,
      why: at === 'now' || (at === 'messages' && stateOf(ctx) === 'unacked') ? api('queues/:vhost/:name/why', ctx.params) : null,
      messages: at === 'messages' && ctx.data.queue !== undefined && ctx.session.may('browse queue', thing(ctx)) ? askMessages(ctx) : null,
      bindings: at === 'bindings' ? api('queues/:vhost/:name/bindings', ctx.params) : null,
      arguments: at === 'arguments' ? api('queues/:vhost/:name/arguments', ctx.params) : null,
    };
  },

  view: (ctx) => html`
    ${head(ctx)}
    ${tabs(ctx, PARTS)}
    ${body(ctx)}`,
};

export default page;

/** @param {Context} ctx */
function body(ctx) {
  if (ctx.errors.queue?.kind === 'gone') return answered(ctx, 'queue', () => null);
  switch (part(ctx)) {
    case 'messages':
      return answered(ctx, 'queue', (queue) => {
        if (!ctx.session.may('browse queue', thing(ctx))) return closed(ctx, queue);
        // Only now it is known that they may be asked for.
        if (ctx.state.asked === undefined) ctx.refresh();
        return messagesView(ctx);
      }, 6);
    case 'bindings':
      return answered(ctx, 'bindings', (bindings) => bindingsOf(ctx, bindings, {kind: 'queue', ...thing(ctx)}));
    case 'arguments':
      return answered(ctx, 'arguments', (counts) => argumentsView(ctx, counts));
    default:
      return now(ctx, historyOf(ctx));
  }
}

/** @param {Context} ctx */
function head(ctx) {
  const {queue} = ctx.data;
  const back = href('/queues', {}, ctx.params.vhost === '/' ? {} : {vhost: ctx.params.vhost});
  return html`<header class="page-head">
    <h1><a class="above" href=${back}>Queues</a> ${name(ctx.params.name)}</h1>
    <span class="row">${queue === undefined ? null : html`${state(queue, ctx.now)} ${kind(queue)}`}
      ${ctx.params.vhost === '/' ? null : badge(html`vhost ${name(ctx.params.vhost)}`)}</span>
    ${queue === undefined ? null : actions(ctx, queue)}
  </header>`;
}

/**
 * Why its messages are not shown.
 *
 * @param {Context} ctx
 * @param {any} queue
 */
function closed(ctx, queue) {
  if (queue.exclusive) return empty('Of one connection alone', 'Its messages are for the connection that declared it, and for nobody else to see.');
  return empty('Not for this user', html`<bdi>${ctx.session.name}</bdi> may not read from this queue. An administrator can grant it.`);
}

/**
 * @param {Context} ctx
 * @param {any} queue
 */
function actions(ctx, queue) {
  const isPaused = typeof queue.paused?.consumers === 'string' || typeof queue.paused?.publishers === 'string';
  const [mayPause, mayPurge, mayDelete] = ['pause queue', 'purge queue', 'delete queue'].map((act) => ctx.session.may(act, thing(ctx)));
  if (!mayPause && !mayPurge && !mayDelete) return null;
  return html`<div class="actions">
    ${!mayPause ? null : isPaused
      ? html`<button type="button" class="button is-main" @click=${() => resume(ctx, [queue])}>Resume</button>`
      : html`<button type="button" class="button" @click=${() => pause(ctx, [queue])}>Pause…</button>`}
    ${mayPurge ? html`<button type="button" class="button is-bad" @click=${() => purge(ctx, [queue])}>Purge…</button>` : null}
    ${mayDelete ? html`<button type="button" class="button is-bad" @click=${() => remove(ctx, [queue], '/queues')}>Delete…</button>` : null}
  </div>`;
}
