/**
 * Times as people read them: how long ago, with the exact time behind it. Knows no DOM.
 *
 * @module
 */

import {UNKNOWN} from './number.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * @param {unknown} ms
 * @returns {string} `250 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`, `6 d 4 h`: no number ends a line without its unit.
 */
export function duration(ms) {
  if (typeof ms !== 'number' || !Number.isFinite(ms)) return UNKNOWN;
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < SECOND) return `${Math.round(ms)}\u00a0ms`;
  if (ms < 10 * SECOND) return `${Number((ms / SECOND).toFixed(1))}\u00a0s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}\u00a0s`;
  if (ms < HOUR) return two(ms, MINUTE, 'min', SECOND, 's');
  if (ms < DAY) return two(ms, HOUR, 'h', MINUTE, 'min');
  return two(ms, DAY, 'd', HOUR, 'h');
}

/**
 * @param {number} ms
 * @param {number} large
 * @param {string} largeName
 * @param {number} small
 * @param {string} smallName
 * @returns {string}
 */
function two(ms, large, largeName, small, smallName) {
  const first = Math.floor(ms / large);
  const second = Math.floor((ms % large) / small);
  return second === 0 ? `${first}\u00a0${largeName}` : `${first}\u00a0${largeName} ${second}\u00a0${smallName}`;
}

/**
 * @param {number} ms
 * @returns {string} In its largest unit: `12 s`, `3 min`, `2 h`
 */
export function roughly(ms) {
  const unit = ms < MINUTE ? SECOND : ms < HOUR ? MINUTE : ms < DAY ? HOUR : DAY;
  return duration(Math.floor(ms / unit) * unit);
}

/**
 * @param {number} at In milliseconds since the epoch.
 * @param {number} now
 * @returns {string} `now`, `12 s ago`, `in 3 min 5 s`: what is to come is not told as sooner than it is.
 */
export function ago(at, now) {
  const past = now - at;
  if (Math.abs(past) < SECOND) return 'now';
  return past > 0 ? `${roughly(past)} ago` : `in ${duration(Math.ceil(-past / SECOND) * SECOND)}`;
}

/**
 * @param {number} at In milliseconds since the epoch.
 * @returns {string} `2026-11-30 10:42:07.120 +01:00`: sorts as it reads, and names its zone.
 */
export function exact(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const size = Math.abs(offset);
  const zone = `${offset < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  return `${day(date)} ${clock(at)}.${String(date.getMilliseconds()).padStart(3, '0')} ${zone}`;
}

/**
 * @param {Date} date
 * @returns {string}
 */
export function day(date) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/**
 * @param {number} at In milliseconds since the epoch.
 * @returns {string} `10:42:07`
 */
export function clock(at) {
  const date = new Date(at);
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
