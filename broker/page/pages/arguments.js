/**
 * Arguments, headers and other tables of AMQP: read from what people type, and told in a line. Knows no DOM.
 *
 * @module
 */

import {jsonOr, readJson} from '../app/json.js';

/**
 * Reads a table: JSON, or a line `name = value` for each. A value is JSON where it is, and a text otherwise.
 *
 * @param {string} text
 * @returns {Record<string, unknown> | Error}
 */
export function readTable(text) {
  const all = text.trim();
  if (all === '') return {};
  if (all.startsWith('{')) return readJson(all);
  /** @type {Record<string, unknown>} */
  const table = {};
  for (const line of all.split('\n').filter((one) => one.trim() !== '')) {
    const [, key, value] = /^\s*([^=]+?)\s*=\s?(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined) return new Error(`“${line.trim()}” is not of the form name = value.`);
    table[key] = readValue(value);
  }
  return table;
}

/**
 * @param {string} text
 * @returns {unknown} What it is as JSON, or the text itself.
 */
export function readValue(text) {
  const shown = text.trim();
  return jsonOr(shown, shown);
}

/**
 * @param {unknown} value
 * @returns {string} A text as it is, unless it would be read as something else.
 */
export function writeValue(value) {
  if (typeof value !== 'string') return JSON.stringify(value) ?? '';
  return typeof readValue(value) === 'string' && value === value.trim() ? value : JSON.stringify(value);
}

/**
 * @param {Record<string, unknown> | undefined} table
 * @returns {string} `x-max-length = 10, x-overflow = drop-head`
 */
export function inLine(table) {
  return Object.entries(table ?? {}).map(([key, value]) => `${key} = ${writeValue(value)}`).join(', ');
}

/**
 * @param {Record<string, unknown> | undefined} table
 * @returns {string} As it is typed.
 */
export function inLines(table) {
  return Object.entries(table ?? {}).map(([key, value]) => `${key} = ${writeValue(value)}`).join('\n');
}
