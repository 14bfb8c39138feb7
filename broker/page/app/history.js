/**
 * What numbers were over a time: asked for whole once, and then only what is new since.
 *
 * @module
 */

import {folded, marksOf} from './marks.js';

/** @typedef {import('../parts/scale.js').Point} Point */
/** @typedef {import('../parts/chart.js').Mark} Mark */
/** @typedef {import('./types.js').Context} Context */

/** Seconds that are shown, and between two values: what the broker keeps. */
export const RANGES = /** @type {const} */ ({
  '1m': [60, 5],
  '10m': [600, 5],
  '1h': [3600, 60],
  '8h': [28_800, 600],
  '24h': [86_400, 1800],
});

/** The one that is shown where the address says nothing. */
export const RANGE_MEANT = '10m';

/**
 * What the broker keeps of each channel.
 *
 * @type {[string, string][]}
 */
export const SHORT_RANGE_CHOICES = [
  ['1m', '1 min'],
  ['10m', '10 min'],
];

/**
 * Of each queue, exchange and connection.
 *
 * @type {[string, string][]}
 */
export const RANGE_CHOICES = [...SHORT_RANGE_CHOICES, ['1h', '1 h']];

/**
 * And of all together.
 *
 * @type {[string, string][]}
 */
export const LONG_RANGE_CHOICES = [...RANGE_CHOICES, ['8h', '8 h'], ['24h', '24 h']];

/** See the module documentation. */
export class History {
  /** @param {string} range A key of `RANGES`. */
  constructor(range) {
    const [age, step] = RANGES[/** @type {keyof typeof RANGES} */ (range)] ?? RANGES[RANGE_MEANT];
    this.age = age;
    this.step = step;
    this.range = range;
    /** @type {Map<string, Point[]>} */
    this.series = new Map();
    /** @type {number} When the newest value is from. */
    this.last = 0;
    /** @type {[from: number, to: number] | null} What is looked at closely: the same in all charts of a page. */
    this.zoom = null;
    /** @type {Mark[]} What happened meanwhile. */
    this.marks = [];
    this.redraw = () => {};
  }

  /**
   * @param {string[]} of `lengths`, `msg_rates`, `data_rates`, `node_stats`
   * @param {number} now
   * @returns {Record<string, number>} For the query of the next question: no more than is missing.
   */
  query(of, now) {
    const missing = Math.ceil((now - this.last) / 1000 / this.step + 2) * this.step;
    const age = Math.min(this.age, missing);
    return Object.fromEntries(
      of.flatMap((name) => [
        [`${name}_age`, age],
        [`${name}_incr`, this.step],
      ]),
    );
  }

  /**
   * @param {string} name
   * @param {any} details `…_details` of an answer.
   * @param {'sample' | 'rate'} as Whether the values count, or how fast they grow.
   * @param {number} now
   */
  add(name, details, as, now) {
    /** @type {Point[]} */
    const samples = (details?.samples ?? []).map((/** @type {any} */ {timestamp, sample}) => [timestamp, sample]);
    samples.reverse();
    const points = as === 'sample' ? samples : growth(samples);
    const known = this.series.get(name) ?? [];
    this.series.set(name, merged(known, points, now - (this.age + this.step) * 1000));
    if (samples.length > 0) this.last = Math.max(this.last, samples[samples.length - 1][0]);
  }

  /**
   * @param {string} name
   * @returns {Point[]}
   */
  of(name) {
    return this.series.get(name) ?? [];
  }

  /** What a chart of it shows. */
  span() {
    const to = this.last === 0 ? Date.now() : this.last;
    const onZoom = (/** @type {[from: number, to: number] | null} */ zoom) => {
      this.zoom = zoom;
      this.redraw();
    };
    // What happened just now stands at the end until a value has come that is newer.
    const ahead = to + 2 * this.step * 1000;
    const seen = this.marks.filter(({at}) => at <= ahead).map(({at, text}) => ({at: Math.min(at, to), text}));
    const marks = (/** @type {number} */ since, /** @type {number} */ until, /** @type {number} */ width) => folded(seen, since, until, width);
    return {from: to - this.age * 1000, to, gap: 3.5 * this.step * 1000, zoom: this.zoom, onZoom, marks};
  }
}

/**
 * @param {readonly Point[]} before
 * @param {readonly Point[]} more May begin before the end of the others: what is newer counts.
 * @param {number} since Older ones go.
 * @returns {Point[]} All, in the order of time.
 */
export function merged(before, more, since) {
  const first = more.length === 0 ? Infinity : more[0][0];
  const kept = before.filter(([time]) => time >= since && time < first);
  return [...kept, ...more.filter(([time]) => time >= since)];
}

/**
 * @param {readonly Point[]} samples Of a number that only grows.
 * @returns {Point[]} How fast it grew before each of them, a second.
 */
export function growth(samples) {
  return samples.slice(1).map(([time, value], n) => {
    const [before, less] = samples[n];
    return [time, Math.max(0, ((value - less) * 1000) / Math.max(1, time - before))];
  });
}

/**
 * @param {Context} ctx
 * @returns {History} Of the range that the address has; a page keeps it as long as that stays.
 */
export function historyOf(ctx) {
  const range = ctx.query.get('range') ?? RANGE_MEANT;
  if (ctx.state.history?.range !== range) ctx.state.history = new History(range);
  ctx.state.history.redraw = ctx.draw;
  const seen = marksOf(ctx);
  seen.look(ctx.data, ctx.now);
  ctx.state.history.marks = seen.of(ctx.data);
  return ctx.state.history;
}
