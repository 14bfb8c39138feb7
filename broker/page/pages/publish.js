/**
 * A message by hand: to a queue or an exchange, once or several times, and templates to do it again.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {remember, remembered} from '../app/theme.js';
import {ApiError, request} from '../app/api.js';
import {ask} from '../app/ask.js';
import {api} from '../app/place.js';
import {field} from '../app/ui.js';
import {readTable} from './arguments.js';
import {named} from './bindings.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {{name: string, fields: Record<string, string>}} Template */

const KEY = 'leveret.templates';
/** So many are kept. */
const MOST = 20;
/** So often at most. */
const TIMES_MAX = 1000;

/** What a template keeps: what a form has, by the names of its fields. */
const FIELDS = ['key', 'headers', 'payload', 'content_type', 'type', 'message_id', 'correlation_id', 'reply_to', 'expiration', 'priority', 'mode', 'encoding'];

/** @returns {Template[]} */
function templates() {
  try {
    const all = JSON.parse(remembered(KEY) ?? '[]');
    return Array.isArray(all) ? all.filter((one) => typeof one?.name === 'string' && typeof one?.fields === 'object') : [];
  } catch {
    return [];
  }
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
  const isDone = await ask({
    title: to.exchange === '' ? `Publish to ${to.key}` : `Publish through ${to.exchange}`,
    action: 'Publish',
    isWide: true,
    fields: (redraw) => form(to, redraw),
    submit: async (data) => {
      const get = (/** @type {string} */ key) => String(data.get(key) ?? '');
      const body = bodyOf(get);
      if (body instanceof Error) return new ApiError('failed', 400, body.message);
      if (get('template').trim() !== '') keep(get);
      return send(ctx, to, body, Math.min(TIMES_MAX, Math.max(1, Number(get('times')) || 1)));
    },
  });
  if (isDone) then?.();
}

/** @param {(field: string) => string} get */
function keep(get) {
  const called = get('template').trim();
  const fields = Object.fromEntries(FIELDS.map((key) => [key, get(key)]));
  const others = templates().filter(({name}) => name !== called);
  remember(KEY, JSON.stringify([...others, {name: called, fields}].slice(-MOST)));
}

/**
 * @param {Context} ctx
 * @param {{vhost: string, exchange: string}} to
 * @param {unknown} body
 * @param {number} times
 * @returns {Promise<ApiError | null>}
 */
async function send(ctx, {vhost, exchange}, body, times) {
  const path = api('exchanges/:vhost/:name/publish', {vhost, name: named(exchange)});
  let routed = 0;
  try {
    for (let n = 0; n < times; n += 1) routed += (await request('POST', path, {body})).routed ? 1 : 0;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  if (routed === 0) return new ApiError('failed', 200, 'It was published, and reached no queue: no binding fits.');
  ctx.say(times === 1 ? 'It is published, and in a queue.' : `${routed} of ${times} are published, and in queues.`);
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
  const line = (/** @type {string} */ id, /** @type {string} */ label, /** @type {string} */ value = '', /** @type {string} */ help = '') =>
    field(`m-${id}`, label, html`<input id=${`m-${id}`} name=${id} autocomplete="off" spellcheck="false" value=${value}>`, {help});
  return html`<div class="form">
    ${all.length === 0 ? null : field('m-from', 'From a template', html`<select id="m-from" @change=${fill}><option value="">none</option>${each(all, ({name}) => name, ({name}) => html`<option value=${name}>${name}</option>`)}</select>`)}
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
      ${line('template', 'Keep as a template', '', 'A name; it is kept in this browser, with the body')}
    </div>
  </div>`;
}
