/**
 * A message by hand: to a queue or an exchange, once or several times, and templates to do it again.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {remember, remembered} from '../app/theme.js';
import {ApiError, request} from '../app/api.js';
import {ask} from '../app/ask.js';
import {jsonOr} from '../app/json.js';
import {api} from '../app/place.js';
import {count, rate} from '../app/number.js';
import {field} from '../app/ui.js';
import {readTable} from './arguments.js';
import {named} from './bindings.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {{name: string, fields: Record<string, string>}} Template */

const KEY = 'leveret.templates';
/** So many are kept. */
const MOST = 20;
/** So often at most. */
const TIMES_MAX = 100_000;
/** How far it is, is told so often. */
const TOLD_MS = 250;
/** With a rate, so many are on their way at most: a browser has no more connections to one place. */
const AT_A_TIME = 6;

/** What a template keeps: what a form has, by the names of its fields. */
const FIELDS = ['key', 'headers', 'payload', 'content_type', 'type', 'message_id', 'correlation_id', 'reply_to', 'expiration', 'priority', 'mode', 'encoding'];

/** @returns {Template[]} */
function templates() {
  const all = jsonOr(remembered(KEY), []);
  return Array.isArray(all) ? all.filter((one) => typeof one?.name === 'string' && typeof one?.fields === 'object') : [];
}

/**
 * What the API is sent.
 *
 * @param {(field: string) => string} get
 * @returns {{properties: Record<string, unknown>, routing_key: string, payload: string, payload_encoding: string} | Error}
 */
export function bodyOf(get) {
  const headers = readTable(get('headers'));
  if (headers instanceof Error) return headers;
  /** @type {Record<string, unknown>} */
  const properties = {delivery_mode: get('mode') === 'transient' ? 1 : 2};
  for (const key of ['content_type', 'type', 'message_id', 'correlation_id', 'reply_to', 'expiration']) {
    if (get(key) !== '') properties[key] = get(key);
  }
  if (get('priority') !== '') properties.priority = Number(get('priority'));
  if (Object.keys(headers).length > 0) properties.headers = headers;
  return {properties, routing_key: get('key'), payload: get('payload'), payload_encoding: get('encoding') === 'base64' ? 'base64' : 'string'};
}

/**
 * @param {Context} ctx
 * @param {{vhost: string, exchange: string, key: string}} to
 * @param {() => void} [then]
 */
export async function publish(ctx, to, then) {
  /** @type {Run} */
  const run = {sent: 0, routed: 0, times: 0, startedAt: 0, isRunning: false};
  await ask({
    title: to.exchange === '' ? `Publish to ${to.key}` : `Publish through ${to.exchange}`,
    action: 'Publish',
    isWide: true,
    isLong: true,
    fields: (redraw) => html`${form(to, redraw)}${progress(run)}`,
    submit: async (data, {isOpen, redraw}) => {
      const get = (/** @type {string} */ key) => String(data.get(key) ?? '');
      const body = bodyOf(get);
      if (body instanceof Error) return new ApiError('failed', 400, body.message);
      if (get('template').trim() !== '') keep(get);
      const times = Math.min(TIMES_MAX, Math.max(1, Math.floor(Number(get('times'))) || 1));
      Object.assign(run, {sent: 0, routed: 0, times, startedAt: performance.now(), isRunning: true});
      const wrong = await send(ctx, to, body, run, {perSecond: Math.max(0, Number(get('rate')) || 0), isOpen, redraw});
      run.isRunning = false;
      return wrong;
    },
  });
  if (run.sent > 0) then?.();
}

/** @typedef {{sent: number, routed: number, times: number, startedAt: number, isRunning: boolean}} Run */

/** @param {Run} run */
function progress({sent, times, startedAt, isRunning}) {
  if (!isRunning || times === 1) return null;
  const perSecond = (1000 * sent) / Math.max(1, performance.now() - startedAt);
  return html`<div role="status"><p><progress max=${times} value=${sent} aria-label="Published"></progress> ${count(sent)} of ${count(times)}, ${rate(perSecond)} a second</p></div>`;
}

/**
 * When the next is due.
 *
 * @param {number} n How many were sent before it.
 * @param {number} perSecond 0 is as fast as it goes.
 * @param {number} startedAt
 * @param {number} now
 * @returns {number} Milliseconds from now.
 */
export function dueIn(n, perSecond, startedAt, now) {
  return perSecond === 0 ? 0 : Math.max(0, startedAt + (1000 * n) / perSecond - now);
}

/** @param {(field: string) => string} get */
function keep(get) {
  const called = get('template').trim();
  const fields = Object.fromEntries(FIELDS.map((key) => [key, get(key)]));
  const others = templates().filter(({name}) => name !== called);
  keepAll([...others, {name: called, fields}].slice(-MOST));
}

/** @param {Template[]} all */
function keepAll(all) {
  remember(KEY, all.length === 0 ? null : JSON.stringify(all));
}

/**
 * Sends one after the other where there is no rate, and at the rate otherwise, until all are sent or the form is closed.
 *
 * @param {Context} ctx
 * @param {{vhost: string, exchange: string}} to
 * @param {unknown} body
 * @param {Run} run
 * @param {{perSecond: number, isOpen: () => boolean, redraw: () => void}} how
 * @returns {Promise<ApiError | null>}
 */
async function send(ctx, {vhost, exchange}, body, run, {perSecond, isOpen, redraw}) {
  const path = api('exchanges/:vhost/:name/publish', {vhost, name: named(exchange)});
  const timer = window.setInterval(() => isOpen() && redraw(), TOLD_MS);
  let next = 0;
  let isOver = false;
  const work = async () => {
    while (next < run.times && isOpen() && !isOver) {
      const due = dueIn(next, perSecond, run.startedAt, performance.now());
      next += 1;
      if (due > 0) await new Promise((resolve) => window.setTimeout(resolve, due));
      if (!isOpen() || isOver) return;
      if ((await request('POST', path, {body})).routed) run.routed += 1;
      run.sent += 1;
    }
  };
  try {
    await Promise.all(Array.from({length: perSecond === 0 ? 1 : AT_A_TIME}, work));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    isOver = true;
    if (run.sent > 0) ctx.say(`${count(run.sent)} of ${count(run.times)} were published before that.`, 'bad');
    return error;
  } finally {
    clearInterval(timer);
  }
  return ended(ctx, run);
}

/**
 * @param {Context} ctx
 * @param {Run} run
 * @returns {ApiError | null}
 */
function ended(ctx, {sent, routed, times, startedAt}) {
  if (sent === 0) return null;
  if (routed === 0) return new ApiError('failed', 200, 'It was published, and reached no queue: no binding fits.');
  if (times === 1) ctx.say('It is published, and in a queue.');
  else {
    const perSecond = rate((1000 * sent) / Math.max(1, performance.now() - startedAt));
    const where = routed === sent ? 'and in queues' : `and ${count(sent - routed)} of them in no queue`;
    ctx.say(sent < times ? `Stopped: ${count(sent)} of ${count(times)} are published ${where}.` : `${count(sent)} are published ${where}, ${perSecond} a second.`);
  }
  return null;
}

/**
 * @param {{key: string, exchange: string}} to
 * @param {() => void} redraw
 */
function form(to, redraw) {
  const all = templates();
  const fill = (/** @type {Event} */ event) => {
    const select = /** @type {HTMLSelectElement} */ (event.currentTarget);
    const found = all.find(({name}) => name === select.value);
    for (const key of FIELDS) {
      const input = select.form?.elements.namedItem(key);
      if (found !== undefined && (input instanceof HTMLInputElement || input instanceof HTMLTextAreaElement || input instanceof HTMLSelectElement)) input.value = found.fields[key] ?? '';
    }
    redraw();
  };
  const forget = (/** @type {Event} */ event) => {
    const select = /** @type {HTMLButtonElement} */ (event.currentTarget).form?.elements.namedItem('m-from');
    if (!(select instanceof HTMLSelectElement) || select.value === '') return;
    keepAll(all.filter(({name}) => name !== select.value));
    redraw();
  };
  const line = (/** @type {string} */ id, /** @type {string} */ label, /** @type {string} */ value = '', /** @type {string} */ help = '') =>
    field(`m-${id}`, label, html`<input id=${`m-${id}`} name=${id} autocomplete="off" spellcheck="false" value=${value}>`, {help});
  return html`<div class="form">
    ${all.length === 0 ? null : html`<div class="row">${field('m-from', 'From a template', html`<select id="m-from" @change=${fill}><option value="">none</option>${each(all, ({name}) => name, ({name}) => html`<option value=${name}>${name}</option>`)}</select>`)}
      <button type="button" class="link" @click=${forget}>Forget this template</button></div>`}
    <div class="form-grid">
      ${line('key', 'Routing key', to.key)}
      ${line('content_type', 'Content type', 'application/json')}
      ${field('m-mode', 'Kept', html`<select id="m-mode" name="mode"><option value="persistent">persistent</option><option value="transient">transient</option></select>`)}
    </div>
    ${field('m-payload', 'Body', html`<textarea id="m-payload" name="payload" spellcheck="false" rows="7"></textarea>`)}
    ${field('m-headers', 'Headers', html`<textarea id="m-headers" name="headers" spellcheck="false" rows="2" placeholder="tenant = north"></textarea>`, {help: 'One a line, as name = value, or JSON'})}
    <details><summary>More properties</summary><div class="form-grid more">
      ${line('type', 'Type')} ${line('message_id', 'Message id')} ${line('correlation_id', 'Correlation id')} ${line('reply_to', 'Reply to')}
      ${line('expiration', 'Expiration', '', 'Milliseconds')} ${line('priority', 'Priority', '', '0 to 255')}
      ${field('m-encoding', 'The body is', html`<select id="m-encoding" name="encoding"><option value="string">text</option><option value="base64">base64</option></select>`)}
    </div></details>
    <div class="form-grid">
      ${field('m-times', 'Times', html`<input id="m-times" name="times" type="number" min="1" max=${TIMES_MAX} value="1">`)}
      ${field('m-rate', 'A second', html`<input id="m-rate" name="rate" type="number" min="0.1" max="1000" step="any">`, {help: 'Messages; empty is as fast as it goes'})}
      ${line('template', 'Keep as a template', '', 'A name; it is kept in this browser, with the body')}
    </div>
  </div>`;
}
