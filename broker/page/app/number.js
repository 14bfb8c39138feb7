/**
 * Numbers as people read them: the same number of places in a column, and a unit where there is one.
 *
 * @module
 */

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const oneMore = new Intl.NumberFormat('en', {minimumFractionDigits: 1, maximumFractionDigits: 1});

/** Where a number is not known. */
export const UNKNOWN = '–';

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

/**
 * @param {unknown} value
 * @returns {string} `12,345`
 */
export function count(value) {
  return isNumber(value) ? whole.format(value) : UNKNOWN;
}

/**
 * @param {unknown} value A number a second.
 * @returns {string} `0`, `0.4`, `12.5`, `1,234`
 */
export function rate(value) {
  if (!isNumber(value)) return UNKNOWN;
  if (value === 0) return '0';
  if (value < 0.05) return '<0.1';
  return value < 100 ? oneMore.format(value) : whole.format(value);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/**
 * @param {unknown} value Bytes.
 * @returns {string} `512 B`, `1.4 GiB`
 */
export function bytes(value) {
  if (!isNumber(value)) return UNKNOWN;
  let [size, unit] = [value, 0];
  while (Math.abs(size) >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const text = unit === 0 || Math.abs(size) >= 100 ? whole.format(size) : oneMore.format(size);
  return `${text} ${UNITS[unit]}`;
}

/**
 * @param {unknown} part
 * @param {unknown} total
 * @returns {string} `37%`
 */
export function share(part, total) {
  if (!isNumber(part) || !isNumber(total) || total <= 0) return UNKNOWN;
  return `${whole.format((100 * part) / total)}%`;
}
