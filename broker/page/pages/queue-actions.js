/**
 * What can be done to queues, to one or to many: always asked with counts first.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count} from '../app/number.js';
import {ApiError, request} from '../app/api.js';
import {ask} from '../app/ask.js';
import {confirm} from '../app/dialog.js';
import {marksOf} from '../app/marks.js';
import {keyOf} from '../app/named.js';
import {api} from '../app/place.js';
import {field, name} from '../app/ui.js';
import {readTable} from './arguments.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {{name: string, vhost: string, messages_ready: number, messages_unacknowledged: number, consumers: number, exclusive?: boolean, paused?: any}} Row */

/** So many are changed at the same time. */
const AT_A_TIME = 4;
/** So many are named before something is done to them. */
const NAMED = 8;

/**
 * @param {number} number
 * @param {string} one
 * @returns {string}
 */
export function counted(number, one) {
  return `${count(number)} ${one}${number === 1 ? '' : 's'}`;
}

/**
 * @param {Row[]} rows
 * @param {keyof Row} key
 * @returns {number}
 */
function sum(rows, key) {
  return rows.reduce((total, row) => total + (Number(row[key]) || 0), 0);
}

/**
 * @param {Row[]} rows
 * @returns {string} What they are called in a title.
 */
function called(rows) {
  return rows.length === 1 ? `the queue ${rows[0].name}` : counted(rows.length, 'queue');
}

/** @param {Row[]} rows */
function named(rows) {
  if (rows.length === 1) return null;
  return html`<ul class="named">
    ${each(rows.slice(0, NAMED), (row) => `${row.vhost}\n${row.name}`, (row) => html`<li>${name(row.name)}<span>${count(row.messages_ready)} ready</span></li>`)}
    ${rows.length > NAMED ? html`<li>and ${count(rows.length - NAMED)} more</li>` : null}
  </ul>`;
}

/**
 * Does something to each, some at a time, and says how many it was done to.
 *
 * @param {Context} ctx
 * @param {Row[]} rows
 * @param {string} did `purged`
 * @param {(row: Row) => Promise<any>} what
 * @param {string} [go] Where one goes if all went well.
 * @returns {Promise<boolean>} Whether all went well.
 */
async function toEach(ctx, rows, did, what, go) {
  const left = [...rows];
  /** @type {{row: Row, error: ApiError}[]} */
  const failed = [];
  const work = async () => {
    for (let row = left.shift(); row !== undefined; row = left.shift()) {
      try {
        await what(row);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        failed.push({row, error});
        if (error.kind === 'refused') await ctx.session.learn();
      }
    }
  };
  // What is gone afterwards is not asked for meanwhile.
  if (go !== undefined) ctx.hold();
  await Promise.all(Array.from({length: AT_A_TIME}, work));
  if (go !== undefined && failed.length === 0) ctx.go(go);
  else ctx.refresh();
  const done = rows.length - failed.length;
  if (done > 0) ctx.say(`${done === 1 && rows.length === 1 ? rows[0].name : counted(done, 'queue')} ${done === 1 ? 'is' : 'are'} ${did}.`);
  if (failed.length > 0) {
    const [{row, error}] = failed;
    ctx.say(`${failed.length === 1 ? row.name : `${row.name} and ${count(failed.length - 1)} more`} ${failed.length === 1 ? 'is' : 'are'} not ${did}: ${error.reason}`, 'bad');
  }
  return failed.length === 0;
}

/**
 * @param {Context} ctx
 * @param {Row[]} rows
 */
export async function purge(ctx, rows) {
  const ready = sum(rows, 'messages_ready');
  const unacked = sum(rows, 'messages_unacknowledged');
  const answer = await confirm({
    title: `Purge ${called(rows)}?`,
    text: html`<p>${counted(ready, 'message')} ${ready === 1 ? 'is' : 'are'} gone for good. ${unacked === 0 ? '' : `${count(unacked)} that consumers have ${unacked === 1 ? 'stays' : 'stay'}.`}</p>${named(rows)}`,
    action: 'Purge',
    typed: rows.length === 1 ? undefined : `purge ${rows.length}`,
  });
  if (answer === null) return false;
  return toEach(ctx, rows, 'purged', async (row) => {
    await request('DELETE', api('queues/:vhost/:name/contents', ofRow(row)));
    marksOf(ctx).note(keyOf(row), `Purged by ${ctx.session.name}`);
  });
}

/**
 * @param {Context} ctx
 * @param {Row[]} rows
 * @param {string} [go] Where one goes then.
 */
export async function remove(ctx, rows, go) {
  const messages = sum(rows, 'messages_ready') + sum(rows, 'messages_unacknowledged');
  const consumers = sum(rows, 'consumers');
  const answer = await confirm({
    title: `Delete ${called(rows)}?`,
    text: html`<p>${counted(messages, 'message')} ${messages === 1 ? 'is' : 'are'} gone for good, with all bindings.
      ${consumers === 0 ? 'Nobody consumes.' : `${counted(consumers, 'consumer')} ${consumers === 1 ? 'is' : 'are'} cancelled.`}</p>${named(rows)}`,
    action: 'Delete',
    typed: rows.length === 1 ? rows[0].name : `delete ${rows.length}`,
  });
  if (answer === null) return false;
  return toEach(ctx, rows, 'deleted', (row) => request('DELETE', api('queues/:vhost/:name', ofRow(row))), go);
}

/**
 * @param {Context} ctx
 * @param {Row[]} rows
 */
export async function pause(ctx, rows) {
  const consumers = sum(rows, 'consumers');
  const answer = await confirm({
    title: `Pause ${called(rows)}?`,
    text: html`<p>Clients stay connected. ${counted(consumers, 'consumer')} and ${counted(sum(rows, 'messages_ready'), 'ready message')} are concerned.</p>${named(rows)}`,
    fields: html`<div class="form">
      <label class="check"><input type="checkbox" name="consumers" checked><span>Consumers: nothing is delivered</span></label>
      <label class="check"><input type="checkbox" name="publishers"><span>Publishers: whoever publishes to it waits</span></label>
      ${field('p-reason', 'Reason', html`<input id="p-reason" name="reason" autocomplete="off" maxlength="250">`, {help: 'Everybody who looks at the queue sees it'})}
    </div>`,
    action: 'Pause',
    isHarmless: true,
  });
  if (answer === null) return false;
  const body = {reason: String(answer.get('reason') ?? ''), consumers: answer.get('consumers') !== null, publishers: answer.get('publishers') !== null};
  const wanted = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== false));
  if (!body.consumers && !body.publishers) {
    ctx.say('Nothing was paused: neither consumers nor publishers were chosen.', 'bad');
    return false;
  }
  return toEach(ctx, rows, 'paused', (row) => request('PUT', api('queues/:vhost/:name/pause', ofRow(row)), {body: wanted}));
}

/**
 * @param {Context} ctx
 * @param {Row[]} rows
 */
export async function resume(ctx, rows) {
  if (rows.length > 1) {
    const answer = await confirm({title: `Resume ${called(rows)}?`, text: html`<p>Consumers and publishers go on.</p>${named(rows)}`, action: 'Resume', isHarmless: true});
    if (answer === null) return false;
  }
  return toEach(ctx, rows, 'resumed', (row) => request('DELETE', api('queues/:vhost/:name/pause', ofRow(row))));
}

/**
 * @param {Row} row
 * @returns {{vhost: string, name: string}}
 */
function ofRow(row) {
  return {vhost: row.vhost, name: row.name};
}

/**
 * @param {Context} ctx
 * @param {string[]} vhosts
 */
export function declare(ctx, vhosts) {
  const wanted = ctx.query.get('vhost') ?? '/';
  return ask({
    title: 'Declare a queue',
    action: 'Declare',
    fields: () => html`<div class="form">
      <div class="form-grid">
        ${field('q-name', 'Name', html`<input id="q-name" name="name" required autocomplete="off" spellcheck="false">`, {help: 'Up to 255 bytes'})}
        ${field('q-vhost', 'Vhost', html`<select id="q-vhost" name="vhost">${each(vhosts, (one) => one, (one) => html`<option value=${one} selected=${one === wanted}>${one}</option>`)}</select>`)}
        ${field('q-type', 'Type', html`<select id="q-type" name="type"><option value="classic">classic</option><option value="quorum">quorum</option></select>`, {help: 'Quorum: counts attempts and survives'})}
      </div>
      <div class="row wide-gap">
        <label class="check"><input type="checkbox" name="durable" checked><span>Durable</span></label>
        <label class="check"><input type="checkbox" name="auto_delete"><span>Deleted with its last consumer</span></label>
      </div>
      ${field('q-arguments', 'Arguments', html`<textarea id="q-arguments" name="arguments" spellcheck="false" placeholder="x-max-length = 100000"></textarea>`,
        {help: 'One a line, as name = value, or JSON. x-max-length, x-message-ttl, x-dead-letter-exchange, x-expires, x-overflow…'})}
    </div>`,
    submit: async (data) => {
      const table = readTable(String(data.get('arguments') ?? ''));
      if (table instanceof Error) return new ApiError('failed', 400, table.message);
      const row = {vhost: String(data.get('vhost')), name: String(data.get('name'))};
      const body = {durable: data.get('durable') !== null, auto_delete: data.get('auto_delete') !== null, arguments: {'x-queue-type': String(data.get('type')), ...table}};
      return ctx.change('PUT', api('queues/:vhost/:name', row), {body, done: `${row.name} is declared.`});
    },
  });
}
