/**
 * Orders of lists, and which pages of one are to be asked for. Knows no DOM.
 *
 * @module
 */

import {sortOf} from '../parts/visible.js';

/**
 * @param {number} first
 * @param {number} end
 * @param {number} size Rows of a page.
 * @returns {number[]} The pages, from 1, that have these rows.
 */
export function pagesOf(first, end, size) {
  const from = Math.floor(first / size) + 1;
  const to = Math.max(from, Math.ceil(end / size));
  return Array.from({length: to - from + 1}, (_, n) => from + n);
}

/**
 * @param {unknown} one
 * @param {unknown} other
 * @returns {number} Numbers by size, texts by letters, what is not there last.
 */
export function compare(one, other) {
  const isMissing = (/** @type {unknown} */ value) => value === undefined || value === null || value === '';
  if (isMissing(one) || isMissing(other)) return Number(isMissing(one)) - Number(isMissing(other));
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return String(one).localeCompare(String(other), 'en', {numeric: true});
}

/**
 * @template Row
 * @param {readonly Row[]} rows
 * @param {string} sort `name` or `-name`.
 * @param {(row: Row, column: string) => unknown} of
 * @returns {Row[]} In this order; what has nothing there is last either way.
 */
export function sorted(rows, sort, of) {
  const {column, isReverse} = sortOf(sort);
  const isThere = (/** @type {Row} */ row) => ![undefined, null, ''].includes(/** @type {any} */ (of(row, column)));
  const there = rows.filter(isThere).sort((one, other) => compare(of(one, column), of(other, column)));
  return [...(isReverse ? there.reverse() : there), ...rows.filter((row) => !isThere(row))];
}
