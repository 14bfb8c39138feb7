/**
 * From values to places in a drawing: ranges, ticks, paths. Knows no DOM.
 *
 * @module
 */

/** @typedef {[time: number, value: number]} Point */

/**
 * @param {number} max The largest value there is.
 * @param {number} [wanted] About so many ticks.
 * @returns {number[]} Round numbers from 0 up to one that is not less than the largest.
 */
export function ticks(max, wanted = 4) {
  if (max <= 0) return [0, 1];
  const step = round(max / wanted, max >= wanted);
  const count = Math.max(1, Math.ceil(max / step - 1e-9));
  return Array.from({length: count + 1}, (_, n) => Number((n * step).toPrecision(12)));
}

/**
 * @param {number} rough
 * @param {boolean} isWhole
 * @returns {number} 1, 2 or 5 times a power of ten, not less than that.
 */
function round(rough, isWhole) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough - rough * 1e-9) ?? 10;
  return isWhole ? Math.max(1, factor * power) : factor * power;
}

const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400].map((s) => s * 1000);

/**
 * @param {number} from
 * @param {number} to
 * @param {number} wanted At most so many.
 * @returns {number[]} Full times between them.
 */
export function timeTicks(from, to, wanted) {
  const step = STEPS.find((one) => (to - from) / one <= wanted) ?? STEPS[STEPS.length - 1];
  const offset = new Date(to).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - offset) / step) * step + offset;
  const found = [];
  for (let at = first; at <= to; at += step) found.push(at);
  return found;
}

/**
 * @param {readonly Point[]} points In the order of time.
 * @param {(time: number) => number} x
 * @param {(value: number) => number} y
 * @param {number} gap A longer time between two points is a gap in the line, in milliseconds.
 * @returns {string} The path of a line.
 */
export function path(points, x, y, gap) {
  let text = '';
  let last = -Infinity;
  for (const [time, value] of points) {
    text += `${time - last > gap ? 'M' : 'L'}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    last = time;
  }
  return text;
}

/**
 * @param {readonly Point[]} points In the order of time.
 * @param {number} time
 * @returns {number} Which is nearest; -1 if there is none.
 */
export function nearest(points, time) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < time) low = middle + 1;
    else high = middle;
  }
  if (low === 0 || (low < points.length && points[low][0] - time < time - points[low - 1][0])) {
    return low < points.length ? low : -1;
  }
  return low - 1;
}

/**
 * @param {number} value
 * @returns {string} For axes: `950`, `1.2k`, `3.4M`
 */
export function short(value) {
  const [size, letter] = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']].find(([from]) => Math.abs(value) >= Number(from)) ?? [1, ''];
  const part = value / Number(size);
  return `${Number(part.toFixed(Math.abs(part) < 10 ? 1 : 0))}${letter}`;
}
