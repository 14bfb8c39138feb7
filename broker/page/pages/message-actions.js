/**
 * What can be done to the messages that a filter means: each is tried without doing it first, so that what is
 * asked has numbers.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {count} from '../app/number.js';
import {ask} from '../app/ask.js';
import {ApiError} from '../app/api.js';
import {confirm} from '../app/dialog.js';
import {marksOf} from '../app/marks.js';
import {keyOf} from '../app/named.js';
import {api} from '../app/place.js';
import {facts, field} from '../app/ui.js';
import {again, stateOf} from './messages-asked.js';
import {chosen} from './messages-chosen.js';
import {filterOf, reported} from './message-views.js';

/** @typedef {import('../app/types.js').Context} Context */

/**
 * @param {Context} ctx
 * @returns {Record<string, unknown>} What all of them are told.
 */
function job(ctx) {
  const picks = [...chosen(ctx).values()];
  return {...(picks.length > 0 ? {messages: picks} : {filter: filterOf(ctx.query)}), state: stateOf(ctx)};
}

/**
 * @param {Context} ctx
 * @param {string} verb
 * @returns {string}
 */
function path(ctx, verb) {
  return api('queues/:vhost/:name/messages/:verb', {vhost: ctx.params.vhost, name: ctx.params.name, verb});
}

/** @param {Context} ctx */
function meant(ctx) {
  const picked = chosen(ctx).size;
  if (picked > 0) return picked === 1 ? 'The one that was chosen' : `The ${count(picked)} that were chosen`;
  const filter = Object.entries(filterOf(ctx.query));
  return filter.length === 0 ? 'All of them' : html`<code>${filter.map(([key, value]) => `${key} = ${typeof value === 'string' ? value : JSON.stringify(value)}`).join(', ')}</code>`;
}

/**
 * Tries it, asks with what came of that, and does it.
 *
 * @param {Context} ctx
 * @param {object} operation
 * @param {string} operation.verb Of the API.
 * @param {Record<string, unknown>} operation.body
 * @param {string} operation.title
 * @param {string} operation.action
 * @param {string} operation.did
 * @param {string} operation.text
 * @param {boolean} [operation.isHarmless]
 * @returns {Promise<boolean>}
 */
async function tried(ctx, {verb, body, title, action, did, text, isHarmless = false}) {
  const dry = await ctx.act('POST', path(ctx, verb), {body: {...body, dry_run: true}});
  if (dry === undefined) return false;
  if (dry.matched === 0) {
    ctx.say('No message is meant: nothing was done.', 'bad');
    return false;
  }
  const answer = await confirm({
    title,
    text: html`<p>${text}</p>${facts([
      ['Looked at', chosen(ctx).size > 0 ? null : count(dry.seen)],
      ['Gone meanwhile', chosen(ctx).size > dry.seen ? `${count(chosen(ctx).size - dry.seen)} of those that were chosen` : null],
      ['Meant', html`<strong>${count(dry.matched)}</strong>`],
      ['Which', meant(ctx)],
      ['Without a way', dry.without_route > 0 ? `${count(dry.without_route)}, which stay` : null],
      ['Not readable', dry.unreadable > 0 ? count(dry.unreadable) : null],
      ['All looked at', dry.complete ? null : 'no, time was up: there are more'],
    ])}`,
    action,
    typed: verb === 'delete' ? String(dry.matched) : undefined,
    isHarmless,
  });
  if (answer === null) return false;
  const report = await ctx.act('POST', path(ctx, verb), {body});
  if (report === undefined) return false;
  ctx.say(reported(report, did), report.done === report.matched && report.complete ? 'good' : 'bad');
  if (verb !== 'copy') {
    chosen(ctx).clear();
    const {vhost, name} = ctx.params;
    marksOf(ctx).note(keyOf({vhost, name}), `${count(report.done)} ${report.done === 1 ? 'message' : 'messages'} ${did} by ${ctx.session.name}`);
  }
  again(ctx);
  return true;
}

/** @param {Context} ctx */
export function remove(ctx) {
  return tried(ctx, {verb: 'delete', body: job(ctx), title: `Delete messages of ${ctx.params.name}?`, action: 'Delete', did: 'deleted', text: 'They are gone for good, and no dead letters are made of them.'});
}

/** @param {Context} ctx */
export function redrive(ctx) {
  return tried(ctx, {verb: 'redrive', body: job(ctx), title: `Redrive dead letters of ${ctx.params.name}?`, action: 'Redrive', did: 'redriven', isHarmless: true,
    text: 'Each goes back to the queue in which it died first. What has no such queue stays.'});
}

/** @param {Context} ctx */
export function move(ctx) {
  return transfer(ctx, 'move', 'Move', 'moved');
}

/** @param {Context} ctx */
export function copy(ctx) {
  return transfer(ctx, 'copy', 'Copy', 'copied');
}

/**
 * @param {Context} ctx
 * @param {string} verb
 * @param {string} action
 * @param {string} did
 */
async function transfer(ctx, verb, action, did) {
  /** @type {Record<string, unknown> | null} */
  let body = null;
  let to = '';
  const isAsked = await ask({
    title: `${action} messages of ${ctx.params.name}`,
    action: 'Try without doing it',
    text: html`<p>Next it says how many would go, and asks once more.</p>`,
    fields: () => html`<div class="form">
      <div class="form-grid">
        ${field('t-kind', 'To', html`<select id="t-kind" name="kind"><option value="queue">a queue</option><option value="exchange">an exchange</option></select>`)}
        ${field('t-name', 'Its name', html`<input id="t-name" name="name" required autocomplete="off" spellcheck="false">`)}
        ${field('t-key', 'Routing key', html`<input id="t-key" name="key" autocomplete="off" spellcheck="false">`, {help: 'At an exchange; empty keeps their own'})}
        ${field('t-limit', 'At most', html`<input id="t-limit" name="limit" inputmode="numeric" pattern="[0-9]*" autocomplete="off">`, {help: 'Messages; empty is all'})}
        ${field('t-rate', 'A second', html`<input id="t-rate" name="rate" inputmode="numeric" pattern="[0-9]*" autocomplete="off">`, {help: 'Messages; empty is as fast as it goes'})}
      </div>
    </div>`,
    submit: async (data) => {
      const text = (/** @type {string} */ key) => String(data.get(key) ?? '').trim();
      to = String(data.get('name') ?? '');
      const destination = text('kind') === 'queue' ? {queue: to} : {exchange: to, ...(text('key') === '' ? {} : {routing_key: text('key')})};
      const numbers = Object.fromEntries(['limit', 'rate'].filter((key) => text(key) !== '').map((key) => [key, Number(text(key))]));
      body = {...job(ctx), destination, ...numbers};
      if (text('kind') === 'queue' && to === ctx.params.name) return new ApiError('failed', 400, 'This is the queue they are in.');
      return ctx.change('POST', path(ctx, verb), {body: {...body, dry_run: true}});
    },
  });
  if (!isAsked || body === null) return false;
  return tried(ctx, {verb, body, title: `${action} messages to ${to}?`, action, did, isHarmless: true,
    text: verb === 'move' ? 'Each leaves this queue when it has arrived there.' : 'They stay here as well.'});
}
