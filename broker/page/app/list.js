/**
 * A list of any length: sorted, filtered and cut into pages by the broker, of which only those are asked for
 * that are to be seen.
 *
 * Kept in `ctx.state` by `listOf`; what it shows follows from the address (`sort`, `name`). Stays true: rows
 * stay until those of another order or filter have come; scrolling asks for what is missing, once.
 *
 * @module
 */

import '../parts/table.js';

import {html} from '../parts/html.js';
import {count} from './number.js';
import {sortOf} from '../parts/visible.js';
import {api} from './place.js';
import {pagesOf} from './sorting.js';
import {problem} from './ui.js';

/** @typedef {import('./types.js').Context} Context */

/**
 * @template Row
 * @typedef {import('../parts/table.js').Column<Row>} Column
 */

/** Rows that are asked for at a time. */
const SIZE = 100;
/** Scrolling has to rest for so long before what is missing is asked for. */
const REST_MS = 80;

/**
 * @typedef {object} ListOptions
 * @property {string} path Under `/api/`, such as `queues`.
 * @property {string} columns What is asked of each row, as the API names it.
 * @property {string} sort The order if the address has none: `name`, or `-messages` for the largest first.
 * @property {Record<string, string | number | boolean | null | undefined>} [query] More of the question.
 */

/** See the module documentation. */
export class PagedList {
  /**
   * @param {Context} ctx
   * @param {ListOptions} options
   */
  constructor(ctx, options) {
    this.ctx = ctx;
    this.options = options;
    /** @type {any[]} With gaps. */
    this.rows = [];
    this.total = 0;
    this.isThere = false;
    /** What the rows were asked with. */
    this.shown = '';
    this.first = 0;
    this.end = 0;
    this.timer = 0;
    /** @type {WeakSet<object>} */
    this.taken = new WeakSet();
  }

  /** @returns {string} The order that counts. */
  get sort() {
    return this.ctx.query.get('sort') ?? this.options.sort;
  }

  /** @returns {string} All that decides which rows there are, and where each stands. */
  get asked() {
    const {column, isReverse} = sortOf(this.sort);
    const {path, columns, query = {}} = this.options;
    const name = this.ctx.query.get('name') ?? '';
    const filter = name === '' ? {} : {name};
    return api(path, {}, {columns, sort: column, sort_reverse: isReverse, ...filter, ...query});
  }

  /** @returns {number[]} */
  get pages() {
    if (this.shown !== this.asked) return [1];
    const last = Math.max(1, Math.ceil(this.total / SIZE));
    return pagesOf(this.first, Math.min(this.end, this.total), SIZE).filter((page) => page <= last);
  }

  /** @returns {Record<string, string>} For `ask`. */
  questions() {
    const asked = this.asked;
    return Object.fromEntries(
      this.pages.map((page) => [`${asked} ${page}`, `${asked}&page=${page}&page_size=${SIZE}`]),
    );
  }

  /** Takes what was answered since it was drawn last. */
  take() {
    const asked = this.asked;
    for (const page of this.shown === asked ? this.pages : [1]) {
      const answer = this.ctx.data[`${asked} ${page}`];
      if (answer === undefined || this.taken.has(answer)) continue;
      this.taken.add(answer);
      if (this.shown !== asked) this.rows = [];
      this.shown = asked;
      this.isThere = true;
      this.total = answer.filtered_count;
      this.rows.length = this.total;
      answer.items.forEach((/** @type {any} */ row, /** @type {number} */ n) => {
        this.rows[(page - 1) * SIZE + n] = row;
      });
    }
  }

  /**
   * @param {number} first
   * @param {number} end
   */
  range(first, end) {
    this.first = first;
    this.end = end;
    let isMissing = false;
    for (let at = first; at < Math.min(end, this.total); at += 1) isMissing ||= this.rows[at] === undefined;
    if (!isMissing || !this.isThere) return;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.ctx.refresh(), REST_MS);
  }

  /**
   * @param {string} noun
   * @returns {string} How many there are.
   */
  counted(noun) {
    return this.isThere ? `${count(this.total)} ${noun}${this.total === 1 ? '' : 's'}` : '';
  }

  /**
   * @param {object} table
   * @param {string} table.label
   * @param {Column<any>[]} table.columns `id` is what the API sorts by.
   * @param {(row: any) => unknown} table.key
   * @param {(row: any) => string} [table.tone]
   * @param {unknown} [table.empty]
   */
  view({label, columns, key, tone, empty}) {
    this.take();
    const error = this.ctx.errors[`${this.asked} 1`];
    const rows = this.isThere ? this.rows : Array.from({length: 8}, () => undefined);
    return html`
      ${error !== undefined && error.kind !== 'lost' ? problem(error) : null}
      <data-table .data=${{
        label,
        columns,
        rows,
        key,
        tone,
        empty,
        total: this.isThere ? this.total : rows.length,
        sort: this.sort,
        reset: this.shown,
        onSort: (/** @type {string} */ sort) => this.ctx.setQuery({sort: sort === this.options.sort ? null : sort}),
        onRange: (/** @type {number} */ first, /** @type {number} */ end) => this.range(first, end),
      }}></data-table>`;
  }
}

/**
 * The list of a page, the same while the page is shown.
 *
 * @param {Context} ctx
 * @param {ListOptions} options
 * @param {string} [key] Where a page has several.
 * @returns {PagedList}
 */
export function listOf(ctx, options, key = 'list') {
  /** @type {PagedList} */
  const list = (ctx.state[key] ??= new PagedList(ctx, options));
  list.ctx = ctx;
  list.options = options;
  return list;
}
