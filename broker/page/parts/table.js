/**
 * `<data-table>`: rows of which only those to be seen are there, so that there may be any number.
 *
 * Set `.data`. Rows may be an array with gaps, of `total`: `onRange` is told which are wanted. Stays true:
 * columns keep their widths while it scrolls and updates; a row stays the same element while it is shown;
 * arrow keys go from row to row; scrolling makes nothing of rows that are shown already. No frame draws more
 * rows than it has time for: those to be seen come first, and what is new of others while it scrolls waits.
 *
 * @module
 */

import {each, html, recycled, render} from './html.js';
import {affordable, sortOf, sortedBy, visible} from './visible.js';

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} id Its name in addresses.
 * @property {string} title
 * @property {(row: Row) => unknown} view
 * @property {boolean} [isNumber] Aligned at the right, in figures of the same width.
 * @property {boolean} [sorts] Whether a click on the title sorts.
 * @property {string} [sortsBy] Where that is not its name.
 * @property {boolean} [sortsDown] Sorted by it, the largest stands first, as of numbers.
 * @property {string} [width] Of CSS; the rest is shared by those without.
 * @property {boolean} [wide] Left out on a phone.
 * @property {string} [help] What the title means.
 */

/**
 * @template Row
 * @typedef {object} TableData
 * @property {string} label What the rows are, for who does not see it.
 * @property {Column<Row>[]} columns
 * @property {(Row | undefined)[]} rows
 * @property {(row: Row) => unknown} key
 * @property {number} [total] If there are more than in `rows`.
 * @property {string} [sort] `id` or `-id`.
 * @property {(sort: string) => void} [onSort]
 * @property {(first: number, end: number) => void} [onRange]
 * @property {(row: Row) => string} [tone] A class of the row.
 * @property {unknown} [empty] What is shown if there is none.
 * @property {unknown} [reset] Where this is another the rows are others, and it begins at the first.
 */

/**
 * What is shown of a row, and of which data that is.
 *
 * @typedef {{of: TableData<any>, row: any, at: number, template: import('./html.js').Template}} Line
 */

const NARROW = matchMedia('(max-width: 700px)');
const COARSE = matchMedia('(pointer: coarse)');
/** Rows that are drawn anew in one frame; what is left comes in the next. */
const A_FRAME = 12;
/** What is new waits until scrolling has rested for so long. */
const REST_MS = 120;

/** See the module documentation. */
export class DataTable extends HTMLElement {
  constructor() {
    super();
    /** @type {TableData<any> | null} */
    this.own = null;
    /** @type {Map<unknown, Line>} What is shown, by the keys of rows. */
    this.lines = new Map();
    /** Of which columns that is. */
    this.shape = '';
    /** How many of them may still be drawn anew in this frame, and whether that was not enough. */
    this.left = 0;
    this.isBehind = false;
    this.frame = 0;
    this.rest = 0;
    this.shown = {first: -1, end: -1};
    this.redraw = () => {
      this.lines = new Map();
      this.draw();
    };
    this.sizes = new ResizeObserver(this.redraw);
  }

  connectedCallback() {
    for (const one of [NARROW, COARSE]) one.addEventListener('change', this.redraw);
    this.draw();
  }

  disconnectedCallback() {
    for (const one of [NARROW, COARSE]) one.removeEventListener('change', this.redraw);
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    this.frame = this.rest = 0;
  }

  /** @param {TableData<any>} data */
  set data(data) {
    const isOther = this.own === null || this.own.reset !== data.reset;
    if (isOther && this.scroller !== null) this.scroller.scrollTop = 0;
    const shape = data.columns.map(({id}) => id).join();
    if (isOther || shape !== this.shape) this.lines = new Map();
    this.shape = shape;
    this.own = data;
    if (this.rest === 0 || isOther) this.draw();
  }

  /** @returns {HTMLElement | null} */
  get scroller() {
    return this.querySelector('.table-scroll');
  }

  /** @returns {number} */
  get rowHeight() {
    return COARSE.matches ? 40 : 30;
  }

  draw() {
    if (this.own === null || !this.isConnected) return;
    const data = this.own;
    const total = data.total ?? data.rows.length;
    const scroller = this.scroller;
    const top = scroller?.scrollTop ?? 0;
    const height = scroller?.clientHeight || 600;
    const seen = {top, height, row: this.rowHeight, total};
    const range = visible(seen);
    const isThere = (/** @type {number} */ at) => this.lines.has(keyOf(data, at, data.rows[at]));
    const drawn = affordable(visible(seen, 0), range, isThere, A_FRAME);
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.isBehind = false;
    this.left = this.rest === 0 ? A_FRAME : 0;
    const before = this.lines;
    this.lines = new Map();
    render(view(this, data, total, drawn, before), this);
    if (drawn.first > range.first || drawn.end < range.end || (this.isBehind && this.rest === 0)) {
      this.frame = requestAnimationFrame(() => this.draw());
    }
    if (this.scroller !== null && scroller === null) this.sizes.observe(this.scroller);
    const {shown} = this;
    this.shown = range;
    if (range.first !== shown.first || range.end !== shown.end) data.onRange?.(range.first, range.end);
  }

  /**
   * @param {Column<any>[]} columns
   * @param {{at: number, row: any}} one
   * @param {Map<unknown, Line>} before What was shown before.
   */
  line(columns, {at, row}, before) {
    const of = /** @type {TableData<any>} */ (this.own);
    const key = keyOf(of, at, row);
    let kept = before.get(key);
    if (kept === undefined || kept.of !== of || kept.row !== row || kept.at !== at) {
      if (kept !== undefined && this.left <= 0) this.isBehind = true;
      else kept = {of, row, at, template: line(of, columns, {at, row})};
      this.left -= 1;
    }
    this.lines.set(key, kept);
    return kept.template;
  }

  scrolled() {
    if (this.own === null || this.scroller === null) return;
    clearTimeout(this.rest);
    this.rest = window.setTimeout(() => {
      this.rest = 0;
      this.draw();
    }, REST_MS);
    const total = this.own.total ?? this.own.rows.length;
    const {scrollTop: top, clientHeight: height} = this.scroller;
    const {first, end} = visible({top, height, row: this.rowHeight, total});
    if (first !== this.shown.first || end !== this.shown.end) this.draw();
  }

  /** @param {KeyboardEvent} event */
  move(event) {
    const by = {ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20}[event.key];
    const row = event.target instanceof Element ? event.target.closest('tr[data-row]') : null;
    if (by === undefined || !(row instanceof HTMLElement) || this.scroller === null) return;
    const isTyped = event.target instanceof HTMLInputElement && event.target.type !== 'checkbox';
    if (isTyped || event.target instanceof HTMLSelectElement) return;
    event.preventDefault();
    const last = (this.own?.total ?? this.own?.rows.length ?? 0) - 1;
    const wanted = Math.max(0, Math.min(last, Number(row.dataset.row) + by));
    const {scroller, rowHeight} = this;
    const head = this.querySelector('thead')?.clientHeight ?? 0;
    const above = wanted * rowHeight;
    if (above < scroller.scrollTop) scroller.scrollTop = above;
    const below = above + rowHeight + head - scroller.clientHeight;
    if (below > scroller.scrollTop) scroller.scrollTop = below;
    this.draw();
    const next = this.querySelector(`tr[data-row="${wanted}"]`);
    // The same kind of thing in the other row: a box to pick leads to the next box.
    const kind = event.target instanceof HTMLInputElement ? 'input' : 'a, button';
    const focus = next?.querySelector(kind) ?? next?.querySelector('a, button, input');
    if (focus instanceof HTMLElement) focus.focus({preventScroll: true});
  }
}

/**
 * @param {DataTable} table
 * @param {TableData<any>} data
 * @param {number} total
 * @param {{first: number, end: number}} range
 * @param {Map<unknown, Line>} before
 */
function view(table, data, total, {first, end}, before) {
  const columns = data.columns.filter(({wide}) => !(wide && NARROW.matches));
  const row = table.rowHeight;
  const rows = Array.from({length: end - first}, (_, n) => ({at: first + n, row: data.rows[first + n]}));
  const gap = (/** @type {number} */ count) =>
    html`<tr aria-hidden="true" class="table-gap"><td colspan=${columns.length} css=${{height: `${count * row}px`}}></td></tr>`;
  return html`
    <div class="table-scroll" tabindex="0" role="group" aria-label=${data.label}
      @scroll=${() => table.scrolled()} @keydown=${(/** @type {KeyboardEvent} */ event) => table.move(event)}>
      <table aria-rowcount=${total + 1} css=${{'--row': `${row}px`, 'min-width': leastWidth(columns)}}>
        <colgroup>${each(columns, ({id}) => id, ({width}) => html`<col css=${{width: width ?? 'auto'}}>`)}</colgroup>
        <thead><tr aria-rowindex="1">${each(columns, ({id}) => id, (column) => heading(data, column))}</tr></thead>
        <tbody>
          ${first === 0 ? null : gap(first)}
          ${recycled(rows, ({at, row}) => keyOf(data, at, row), (one) => table.line(columns, one, before))}
          ${end >= total ? null : gap(total - end)}
        </tbody>
      </table>
    </div>
    ${total === 0 ? html`<div class="table-empty">${data.empty ?? 'There are none.'}</div>` : null}`;
}

/**
 * @param {TableData<any>} data
 * @param {number} at
 * @param {any} row
 */
function keyOf(data, at, row) {
  return row === undefined ? `gap ${at}` : data.key(row);
}

/**
 * @param {Column<any>[]} columns
 * @returns {string} Narrower it is scrolled: names stay readable.
 */
function leastWidth(columns) {
  const least = NARROW.matches ? '7rem' : '13rem';
  return `calc(${columns.map(({width}) => width ?? least).join(' + ')})`;
}

/**
 * @param {TableData<any>} data
 * @param {Column<any>} column
 */
function heading(data, column) {
  const sort = sortOf(data.sort ?? '');
  const by = column.sortsBy ?? column.id;
  const isSorted = sort.column === by;
  const order = isSorted ? (sort.isReverse ? 'descending' : 'ascending') : null;
  const name = column.isNumber ? 'is-number' : '';
  const {onSort} = data;
  if (!column.sorts || onSort === undefined) {
    return html`<th scope="col" class=${name} title=${column.help}>${column.title || html`<span class="hidden">Actions</span>`}</th>`;
  }
  const next = sortedBy(data.sort ?? '', by, column.sortsDown ?? column.isNumber === true);
  return html`<th scope="col" class=${name} aria-sort=${order} title=${column.help}>
    <button type="button" class="table-sort" @click=${() => onSort(next)}>
      ${column.title}<span class="table-order" aria-hidden="true">${isSorted ? (sort.isReverse ? '↓' : '↑') : ''}</span>
    </button>
  </th>`;
}

/**
 * @param {TableData<any>} data
 * @param {Column<any>[]} columns
 * @param {{at: number, row: any}} line
 */
function line(data, columns, {at, row}) {
  const tone = row === undefined ? 'is-waiting' : (data.tone?.(row) ?? '');
  return html`<tr data-row=${at} aria-rowindex=${at + 2} class=${tone}>
    ${each(columns, ({id}) => id, (column) => html`<td class=${column.isNumber ? 'is-number' : ''}>
      ${row === undefined ? html`<span class="skeleton"></span>` : column.view(row)}
    </td>`)}
  </tr>`;
}

customElements.define('data-table', DataTable);
