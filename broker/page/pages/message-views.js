/**
 * A message as people look at it: its body as JSON, text or octets, what it is filtered by, and the code that
 * would publish it again. Knows no DOM.
 *
 * @module
 */

import {jsonOr} from '../app/json.js';
import {finds} from '../app/permission-rules.js';

/** @typedef {'json' | 'text' | 'hex'} View */

/** Octets in a line of the hexadecimal view. */
const LINE = 16;

/**
 * @param {{payload: string, payload_encoding: string}} message
 * @returns {Uint8Array} What of its body was told.
 */
export function octets({payload, payload_encoding: encoding}) {
  if (encoding !== 'base64') return new TextEncoder().encode(payload);
  return Uint8Array.from(atob(payload), (one) => one.charCodeAt(0));
}

/** Of a character of UTF-8 so many octets may be missing at the end. */
const CUT_MAX = 3;

/**
 * @param {Uint8Array} bytes
 * @param {boolean} isWhole
 * @returns {string | null} As text; null if it is none. What is cut in the middle of a character ends before it.
 */
export function text(bytes, isWhole) {
  for (let cut = 0; cut <= (isWhole ? 0 : CUT_MAX); cut += 1) {
    try {
      return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes.subarray(0, bytes.length - cut));
    } catch {
      // One octet less.
    }
  }
  return null;
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} As text, whatever it is: what is none has marks in its place.
 */
export function anyText(bytes) {
  return new TextDecoder().decode(bytes);
}

/**
 * @param {string | null} shown
 * @returns {string | null} Null if it is no JSON.
 */
export function json(shown) {
  const value = jsonOr(shown, null);
  return typeof value === 'object' && value !== null ? JSON.stringify(value, null, 2) : null;
}

/**
 * @param {string | null} shown
 * @returns {View} Which shows it best.
 */
export function best(shown) {
  if (shown === null) return 'hex';
  return json(shown) === null ? 'text' : 'json';
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} `00000000  48 69 …  |Hi…|`
 */
export function hex(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += LINE) {
    const some = [...bytes.slice(at, at + LINE)];
    const digits = some.map((one) => one.toString(16).padStart(2, '0'));
    const shown = some.map((one) => (one >= 32 && one < 127 ? String.fromCharCode(one) : '.')).join('');
    const halves = [digits.slice(0, 8).join(' ').padEnd(23), digits.slice(8).join(' ').padEnd(23)].join('  ');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${halves}  |${shown}|`);
  }
  return lines.join('\n');
}

/**
 * What of a filter cannot be read. While there is something, nothing is asked and nothing offered: left out it would mean more
 * messages than somebody wanted.
 *
 * @param {URLSearchParams} query
 * @returns {string | null}
 */
export function unreadable(query) {
  const [key, header] = ['key', 'header'].map((name) => query.get(name) ?? '');
  if (finds(key, '') === null) return 'The key is no regular expression yet.';
  if (header.trim() !== '' && header.indexOf('=') < 1) return 'The header is a name, =, and a value: tenant=north.';
  return null;
}

/**
 * Which messages are meant, as bodies of requests say it.
 *
 * @param {URLSearchParams} query `key` is an expression, `header` is `name=value`, `text` is in the body.
 * @returns {Record<string, unknown>}
 */
export function filterOf(query) {
  /** @type {Record<string, unknown>} */
  const filter = {};
  const [key, header, inBody] = ['key', 'header', 'text'].map((name) => query.get(name) ?? '');
  if (key !== '') filter.routing_key_regex = key;
  const cut = header.indexOf('=');
  if (cut > 0) filter.headers = {[header.slice(0, cut).trim()]: header.slice(cut + 1).trim()};
  if (inBody !== '') filter.text = inBody;
  return filter;
}

/**
 * The same, as a query says it.
 *
 * @param {URLSearchParams} query
 * @returns {Record<string, string>}
 */
export function filterQuery(query) {
  const {headers, ...rest} = /** @type {any} */ (filterOf(query));
  return {...rest, ...Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [`header.${name}`, String(value)]))};
}

/**
 * What came of an operation, in a sentence.
 *
 * @param {any} report
 * @param {string} did `moved`
 * @returns {string}
 */
export function reported(report, did) {
  const number = (/** @type {number} */ value) => value.toLocaleString('en');
  const parts = [`${number(report.done)} of ${number(report.matched)} messages ${report.done === 1 ? 'is' : 'are'} ${did}.`];
  if (report.without_route > 0) parts.push(`${number(report.without_route)} would have gone nowhere and stay.`);
  if (report.refused > 0) parts.push(`${number(report.refused)} were refused where they were to go, and stay.`);
  if (report.unreadable > 0) parts.push(`${number(report.unreadable)} cannot be read.`);
  if (!report.complete) parts.push('Time was up before all were looked at: do it again for the rest.');
  return parts.join(' ');
}

/** @typedef {{exchange: string, routing_key: string, properties: any, payload: string, payload_encoding: string, vhost: string}} Copied */

/** @type {[id: string, title: string, write: (message: Copied) => string][]} */
export const COPIES = [
  ['pika', 'pika', pika],
  ['amqplib', 'amqplib', amqplib],
  ['curl', 'curl', curl],
];

/**
 * @param {string} value
 * @returns {string} A text of Python or JavaScript: both read JSON's.
 */
function quoted(value) {
  return JSON.stringify(value);
}

/**
 * @param {unknown} value
 * @returns {string} As Python writes it.
 */
function python(value) {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value === 'object') return `{${Object.entries(value).map(([key, one]) => `${quoted(key)}: ${python(one)}`).join(', ')}}`;
  return JSON.stringify(value);
}

/**
 * @param {Copied} message
 * @returns {string}
 */
function pika(message) {
  const isBinary = message.payload_encoding === 'base64';
  const properties = Object.entries(message.properties ?? {}).map(([key, value]) => `${key}=${python(value)}`);
  return [
    isBinary ? 'import base64\nimport pika' : 'import pika',
    '',
    `parameters = pika.ConnectionParameters("localhost", virtual_host=${quoted(message.vhost)})`,
    'with pika.BlockingConnection(parameters) as connection:',
    '    connection.channel().basic_publish(',
    `        exchange=${quoted(message.exchange)},`,
    `        routing_key=${quoted(message.routing_key)},`,
    `        body=${isBinary ? `base64.b64decode(${quoted(message.payload)})` : `${quoted(message.payload)}.encode()`},`,
    `        properties=pika.BasicProperties(${properties.join(', ')}),`,
    '    )',
  ].join('\n');
}

const CAMEL = {content_type: 'contentType', content_encoding: 'contentEncoding', correlation_id: 'correlationId', reply_to: 'replyTo', message_id: 'messageId', delivery_mode: 'deliveryMode', app_id: 'appId', user_id: 'userId'};

/**
 * @param {Copied} message
 * @returns {string}
 */
function amqplib(message) {
  const named = Object.entries(message.properties ?? {}).map(([key, value]) => [/** @type {Record<string, string>} */ (CAMEL)[key] ?? key, value]);
  const encoding = message.payload_encoding === 'base64' ? ", 'base64'" : '';
  return [
    "import amqp from 'amqplib';",
    '',
    `const connection = await amqp.connect(${quoted(`amqp://localhost/${encodeURIComponent(message.vhost)}`)});`,
    'const channel = await connection.createConfirmChannel();',
    `channel.publish(${quoted(message.exchange)}, ${quoted(message.routing_key)}, Buffer.from(${quoted(message.payload)}${encoding}), ${JSON.stringify(Object.fromEntries(named))});`,
    'await channel.waitForConfirms();',
    'await connection.close();',
  ].join('\n');
}

/**
 * @param {Copied} message
 * @returns {string}
 */
function curl(message) {
  const {properties, routing_key, payload, payload_encoding} = message;
  const body = JSON.stringify({properties: properties ?? {}, routing_key, payload, payload_encoding});
  const exchange = encodeURIComponent(message.exchange === '' ? 'amq.default' : message.exchange);
  const shell = (/** @type {string} */ value) => `'${value.replaceAll("'", "'\\''")}'`;
  return `curl -u USER -H 'content-type: application/json' \\\n  ${shell(`http://localhost:15672/api/exchanges/${encodeURIComponent(message.vhost)}/${exchange}/publish`)} \\\n  -d ${shell(body)}`;
}
