/**
 * What can be told of a protobuf message without its schema: numbers of fields, and their values as far as their
 * octets say what they are. Knows no DOM.
 *
 * See <https://protobuf.dev/programming-guides/encoding/>. Stays true: what does not fit to its last octet is
 * none; nothing is read deeper or longer than is good for a reader.
 *
 * @module
 */

import {text} from './message-views.js';

const DEPTH_MAX = 12;
const LINES_MAX = 2000;

/** @typedef {{number: number, value: bigint | Uint8Array, wire: number}} Field */

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {[value: bigint, end: number] | null}
 */
function varint(bytes, at) {
  let value = 0n;
  for (let n = 0; n < 10 && at + n < bytes.length; n += 1) {
    value |= BigInt(bytes[at + n] & 0x7f) << BigInt(7 * n);
    if (bytes[at + n] < 0x80) return [BigInt.asUintN(64, value), at + n + 1];
  }
  return null;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Field[] | null} Null if it is no protobuf, or empty.
 */
function fields(bytes) {
  const found = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = varint(bytes, at);
    if (tag === null || tag[0] >> 3n === 0n || tag[0] >> 3n >= 1n << 29n) return null;
    const [number, wire] = [Number(tag[0] >> 3n), Number(tag[0] & 7n)];
    const read = valueAt(bytes, tag[1], wire);
    if (read === null || read[1] > bytes.length) return null;
    found.push({number, wire, value: read[0]});
    at = read[1];
  }
  return found.length === 0 ? null : found;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} wire
 * @returns {[value: bigint | Uint8Array, end: number] | null}
 */
function valueAt(bytes, at, wire) {
  if (wire === 0) return varint(bytes, at);
  if (wire === 1) return [bytes.subarray(at, at + 8), at + 8];
  if (wire === 5) return [bytes.subarray(at, at + 4), at + 4];
  const length = wire === 2 ? varint(bytes, at) : null;
  if (length === null || length[0] > BigInt(bytes.length)) return null;
  const end = length[1] + Number(length[0]);
  return [bytes.subarray(length[1], end), end];
}

/**
 * @param {Uint8Array} bytes All of a body.
 * @returns {string | null} A line for each field, and what is in it below it; null if it is no protobuf.
 */
export function protobuf(bytes) {
  const found = fields(bytes);
  if (found === null) return null;
  /** @type {string[]} */
  const lines = [];
  write(found, 0, lines);
  return lines.length > LINES_MAX ? `${lines.slice(0, LINES_MAX).join('\n')}\n…` : lines.join('\n');
}

/**
 * @param {Field[]} all
 * @param {number} depth
 * @param {string[]} lines
 */
function write(all, depth, lines) {
  for (const {number, value, wire} of all) {
    if (lines.length > LINES_MAX) return;
    const start = `${'  '.repeat(depth)}${number}`;
    if (!(value instanceof Uint8Array)) lines.push(`${start}: ${integer(value)}`);
    else if (wire !== 2) lines.push(`${start}: ${fixed(value)}`);
    else writeBytes(value, start, depth, lines);
  }
}

/**
 * Octets are a text, a message in this one, or just octets: what is first true of them.
 *
 * @param {Uint8Array} value
 * @param {string} start
 * @param {number} depth
 * @param {string[]} lines
 */
function writeBytes(value, start, depth, lines) {
  const shown = text(value, true);
  if (shown !== null && !/[\u0000-\u0008\u000e-\u001f]/.test(shown)) {
    lines.push(`${start}: ${JSON.stringify(shown)}`);
    return;
  }
  const inner = depth < DEPTH_MAX ? fields(value) : null;
  if (inner === null) {
    lines.push(`${start}: ${value.length} octets ${[...value.subarray(0, 32)].map((one) => one.toString(16).padStart(2, '0')).join(' ')}${value.length > 32 ? ' …' : ''}`);
  } else {
    lines.push(`${start}:`);
    write(inner, depth + 1, lines);
  }
}

/**
 * @param {bigint} value
 * @returns {string} With the other thing that it can be: a negative number.
 */
function integer(value) {
  const signed = BigInt.asIntN(64, value);
  return signed < 0n ? `${signed}` : `${value}`;
}

/**
 * @param {Uint8Array} value Four octets or eight.
 * @returns {string} As a whole number, and as one with a point.
 */
function fixed(value) {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length === 4) return `${view.getInt32(0, true)} or ${Number(view.getFloat32(0, true).toPrecision(7))}`;
  return `${view.getBigInt64(0, true)} or ${view.getFloat64(0, true)}`;
}
