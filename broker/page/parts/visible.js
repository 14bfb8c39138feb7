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
 * @param {number} [ahead] Rows beyond the edges.
 * @returns {{first: number, end: number}} From this one, up to before that one.
 */
export function visible({top, height, row, total}, ahead = AHEAD) {
  const first = Math.max(0, Math.min(total, Math.floor(top / row) - ahead));
  const end = Math.max(first, Math.min(total, Math.ceil((top + height) / row) + ahead));
  // An even number, so that stripes stay where they are.
  return {first: first - (first % 2), end};
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
