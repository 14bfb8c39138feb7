/**
 * `<data-table>`: rows of which only those to be seen are there, so that there may be any number.
 *
 * Set `.data`. Rows may be an array with gaps, of `total`: `onRange` is told which are wanted. Stays true:
 * columns keep their widths while it scrolls and updates; a row stays the same element while it is shown;
 * arrow keys go from row to row; scrolling makes nothing of rows that are shown already, and what is new of them
 * waits until it rests. No frame draws more rows than it has time for.
 *
 * @module
 */

import {each, html, KEPT, recycled, render} from './html.js';
import {sortOf, sortedBy, visible} from './visible.js';

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
 * What is shown of a row, and of which data that is: of none, if the row itself was not drawn yet.
 *
 * @typedef {{of: TableData<any> | null, row: any, at: number, template: import('./html.js').Template}} Line
 */

const NARROW = matchMedia('(max-width: 700px)');
const COARSE = matchMedia('(pointer: coarse)');
/** Rows that are drawn anew in one frame, those to be seen first; the others wait for the next. */
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
    /** How many of them may still be drawn anew in this frame. */
    this.left = 0;
    this.frame = 0;
    this.rest = 0;
    this.shown = {first: -1, end: -1};
    // Where it is scrolled to, what it is shown on: to ask after something was drawn has all laid out at once.
    this.top = 0;
    this.height = 600;
    this.row = 30;
    this.isNarrow = false;
    this.redraw = () => {
      this.row = COARSE.matches ? 40 : 30;
      this.isNarrow = NARROW.matches;
      this.lines = new Map();
      this.draw();
    };
    this.sizes = new ResizeObserver(([{contentRect}]) => {
      this.height = contentRect.height || this.height;
      this.redraw();
    });
  }

  connectedCallback() {
    for (const one of [NARROW, COARSE]) one.addEventListener('change', this.redraw);
    if (this.scroller !== null) this.sizes.observe(this.scroller);
    this.redraw();
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
    if (isOther && this.scroller !== null) this.scroller.scrollTop = this.top = 0;
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

  draw(most = A_FRAME) {
    if (this.own === null || !this.isConnected) return;
    const data = this.own;
    const total = data.total ?? data.rows.length;
    const isFirst = this.scroller === null;
    const seen = {top: this.top, height: this.height, row: this.row, total};
    const range = visible(seen);
    cancelAnimationFrame(this.frame);
    const before = this.lines;
    this.lines = new Map();
    this.left = most;
    for (const {first, end} of [visible(seen, 0), range]) {
      for (let at = first; at < end; at += 1) this.line(at, data.rows[at], before);
    }
    render(view(this, data, total, range), this);
    this.frame = this.left < 0 ? requestAnimationFrame(() => this.draw()) : 0;
    if (this.scroller !== null && isFirst) this.sizes.observe(this.scroller);
    const {shown} = this;
    this.shown = range;
    if (range.first !== shown.first || range.end !== shown.end) data.onRange?.(range.first, range.end);
  }

  /**
   * What is shown of a row in this frame: itself, what it was before, or that it is to come.
   *
   * @param {number} at
   * @param {any} row
   * @param {Map<unknown, Line>} before What was shown before.
   */
  line(at, row, before) {
    const of = /** @type {TableData<any>} */ (this.own);
    const key = keyOf(of, at, row);
    if (this.lines.has(key)) return;
    let kept = before.get(key);
    const isOld = kept?.of !== of || kept.row !== row || kept.at !== at;
    const isLate = kept?.of && this.rest !== 0;
    if (isOld && !isLate && (row === undefined || this.left-- > 0)) kept = {of, row, at, template: line(this, of, at, row)};
    kept ??= {of: null, row, at, template: line(this, of, at, undefined)};
    this.lines.set(key, kept);
  }

  scrolled() {
    if (this.own === null || this.scroller === null) return;
    clearTimeout(this.rest);
    this.rest = window.setTimeout(() => {
      this.rest = 0;
      this.draw();
    }, REST_MS);
    const total = this.own.total ?? this.own.rows.length;
    this.top = this.scroller.scrollTop;
    const {first, end} = visible({top: this.top, height: this.height, row: this.row, total});
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
    const {scroller, row: rowHeight} = this;
    const head = this.querySelector('thead')?.clientHeight ?? 0;
    const above = wanted * rowHeight;
    if (above < scroller.scrollTop) scroller.scrollTop = above;
    const below = above + rowHeight + head - scroller.clientHeight;
    if (below > scroller.scrollTop) scroller.scrollTop = below;
    this.top = scroller.scrollTop;
    this.draw(Infinity);
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
 */
function view(table, data, total, {first, end}) {
  const columns = columnsOf(table, data);
  const {row} = table;
  const keys = Array.from({length: end - first}, (_, n) => keyOf(data, first + n, data.rows[first + n]));
  const gap = (/** @type {number} */ count) =>
    html`<tr aria-hidden="true" class="table-gap"><td colspan=${columns.length} css=${{height: `${count * row}px`}}></td></tr>`;
  return html`
    <div class="table-scroll" tabindex="0" role="group" aria-label=${data.label}
      @scroll=${() => table.scrolled()} @keydown=${(/** @type {KeyboardEvent} */ event) => table.move(event)}>
      <table aria-rowcount=${total + 1} css=${{'--row': `${row}px`, 'min-width': leastWidth(columns, table.isNarrow)}}>
        <colgroup>${each(columns, ({id}) => id, ({width}) => html`<col css=${{width: width ?? 'auto'}}>`)}</colgroup>
        <thead><tr aria-rowindex="1">${each(columns, ({id}) => id, (column) => heading(data, column))}</tr></thead>
        <tbody>
          ${first === 0 ? null : gap(first)}
          ${recycled(keys, (key) => key, (key) => /** @type {Line} */ (table.lines.get(key)).template)}
          ${end >= total ? null : gap(total - end)}
        </tbody>
      </table>
    </div>
    ${total === 0 ? html`<div class="table-empty">${data.empty ?? 'There are none.'}</div>` : null}`;
}

/**
 * @param {DataTable} table
 * @param {TableData<any>} data
 */
function columnsOf(table, data) {
  return data.columns.filter(({wide}) => !(wide && table.isNarrow));
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
 * @param {boolean} isNarrow
 * @returns {string} Narrower it is scrolled: names stay readable.
 */
function leastWidth(columns, isNarrow) {
  const least = isNarrow ? '7rem' : '13rem';
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
  const title = column.title || html`<span class="hidden">Actions</span>`;
  if (!column.sorts || onSort === undefined) return html`<th scope="col" class=${name} title=${column.help}>${title}</th>`;
  const next = sortedBy(data.sort ?? '', by, column.sortsDown ?? column.isNumber === true);
  return html`<th scope="col" class=${name} aria-sort=${order} title=${column.help}>
    <button type="button" class="table-sort" @click=${() => onSort(next)}>
      ${column.title}<span class="table-order" aria-hidden="true">${isSorted ? (sort.isReverse ? '↓' : '↑') : ''}</span>
    </button>
  </th>`;
}

/**
 * @param {DataTable} table
 * @param {TableData<any>} data
 * @param {number} at
 * @param {any} row
 */
function line(table, data, at, row) {
  // It has what another row showed, out of sight and out of reach: to make it anew would take longer.
  const tone = row === undefined ? 'is-waiting' : (data.tone?.(row) ?? '');
  return html`<tr data-row=${at} aria-rowindex=${at + 2} class=${tone} inert=${row === undefined}>
    ${each(columnsOf(table, data), ({id}) => id, (column) => html`<td class=${column.isNumber ? 'is-number' : ''}>
      ${row === undefined ? KEPT : column.view(row)}
    </td>`)}
  </tr>`;
}

customElements.define('data-table', DataTable);
