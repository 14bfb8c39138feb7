/**
 * Which rows of a long list are to be seen. Knows no DOM.
 *
 * @module
 */

/** Rows beyond the edges that are there already when they are scrolled to. */
const AHEAD = 8;

/**
 * @param {{top: number, height: number, row: number, total: number}} view How far it is scrolled, how high it
 *   is and a row is, in pixels, and how many rows there are.
 * @returns {{first: number, end: number}} From this one, up to before that one.
 */
export function visible({top, height, row, total}) {
  const first = Math.max(0, Math.min(total, Math.floor(top / row) - AHEAD));
  const end = Math.max(first, Math.min(total, Math.ceil((top + height) / row) + AHEAD));
  // An even number, so that stripes stay where they are.
  return {first: first - (first % 2), end};
}

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
 * @param {string} asked What a header was, as `name` or `-name`.
 * @param {string} column
 * @param {boolean} isNumber Numbers begin with the largest.
 * @returns {string} What it is after a click on the column.
 */
export function sortedBy(asked, column, isNumber) {
  const first = isNumber ? `-${column}` : column;
  const second = isNumber ? column : `-${column}`;
  return asked === first ? second : first;
}

/**
 * @param {string} sort
 * @returns {{column: string, isReverse: boolean}}
 */
export function sortOf(sort) {
  return sort.startsWith('-') ? {column: sort.slice(1), isReverse: true} : {column: sort, isReverse: false};
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
