/**
 * `<time-chart>`: lines over time, with what was at a moment under the pointer, or at the arrow keys.
 *
 * Set `.data`; the element draws itself at its own width. Dragging over it, or + and − at the moment that is
 * looked at, asks for a narrower time by `onZoom`; Escape asks for the whole. Stays true: a scale grows at once
 * and shrinks when the range has left what made it grow; the legend has its place whether there are values or not.
 *
 * @module
 */

import {each, html, render, svg} from './html.js';
import {nearest, path, short, ticks, timeTicks} from './scale.js';

/**
 * @typedef {import('./scale.js').Point} Point
 * @typedef {{name: string, tone: string, points: Point[]}} Series `tone` is one of the colours `--tone-…`.
 * @typedef {{label: string, series: Series[], from: number, to: number, gap: number,
 *   format: (value: number) => string, zoom?: Span | null, onZoom?: (span: Span | null) => void,
 *   marks?: (from: number, to: number, width: number) => Mark[]}} ChartData
 * @typedef {{at: number, text: string}} Mark Something happened: told where it is looked at.
 * @typedef {[from: number, to: number]} Span
 */

const HEIGHT = 168;
const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;
/** Less is a click, and as far a mark is hit, in pixels. */
const DRAG = 8;

/** See the module documentation. */
export class TimeChart extends HTMLElement {
  constructor() {
    super();
    /** @type {ChartData | null} */
    this.own = null;
    this.width = 0;
    /** @type {number | null} The time that is looked at. */
    this.looked = null;
    /** @type {Span | null} What is dragged over. */
    this.dragged = null;
    /** @type {Set<string>} */
    this.hidden_ = new Set();
    this.sizes = new ResizeObserver(([entry]) => {
      this.width = Math.floor(entry.contentRect.width);
      this.draw();
    });
  }

  connectedCallback() {
    this.sizes.observe(this);
  }

  disconnectedCallback() {
    this.sizes.disconnect();
  }

  /** @param {ChartData} data */
  set data(data) {
    this.own = data;
    this.draw();
  }

  draw() {
    if (this.own === null || this.width === 0) return;
    render(view(this, this.own), this);
  }

  /** @param {number | null} time */
  look(time) {
    this.looked = time;
    this.draw();
  }

  /** @returns {Span} What is shown. */
  get span() {
    const {from, to, zoom} = /** @type {ChartData} */ (this.own);
    return zoom && zoom[1] > from ? zoom : [from, to];
  }

  /** @param {Span | null} span */
  zoom(span) {
    this.dragged = null;
    this.own?.onZoom?.(span);
    this.draw();
  }

  /** @param {PointerEvent} event */
  moved(event) {
    const time = timeAt(this, event);
    if (this.dragged !== null) this.dragged[1] = time;
    const [from, to] = this.span;
    this.look(time < from || time > to ? null : snapped(/** @type {ChartData} */ (this.own), time));
  }

  /** @param {PointerEvent} event */
  pressed(event) {
    this.moved(event);
    if (event.button !== 0 || this.own?.onZoom === undefined) return;
    const time = timeAt(this, event);
    this.dragged = [time, time];
    /** @type {Element} */ (event.currentTarget).setPointerCapture(event.pointerId);
  }

  released() {
    if (this.dragged === null) return;
    const [from, to] = this.dragged.sort((one, other) => one - other);
    const [first, last] = this.span;
    const isWide = ((to - from) / (last - first)) * this.width > DRAG;
    if (isWide) this.zoom([Math.max(from, first), Math.min(to, last)]);
    else this.dragged = null;
  }

  /** @param {string} name */
  toggle(name) {
    if (!this.hidden_.delete(name)) this.hidden_.add(name);
    this.draw();
  }
}

/**
 * @param {TimeChart} chart
 * @param {ChartData} data
 */
function view(chart, data) {
  const [from, to] = chart.span;
  const isZoomed = from !== data.from || to !== data.to;
  const within = (/** @type {Point} */ [time]) => time >= from && time <= to;
  const shown = data.series.filter(({name}) => !chart.hidden_.has(name)).map((one) => ({...one, points: one.points.filter(within)}));
  const largest = Math.max(0, ...shown.flatMap(({points}) => points.map(([, value]) => value)));
  const marks = ticks(largest);
  const top = marks[marks.length - 1];
  const x = (/** @type {number} */ time) => LEFT + ((time - from) / Math.max(1, to - from)) * (chart.width - LEFT - RIGHT);
  const y = (/** @type {number} */ value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const at = chart.looked;
  const events = data.marks?.(from, to, chart.width - LEFT - RIGHT) ?? [];
  const event = at === null ? null : eventAt(events, at, Math.max(data.gap / 2, (DRAG * (to - from)) / chart.width));
  return html`
    <div class="chart-plot" tabindex="0" role="img" aria-label=${spoken(data, events)}
      @pointermove=${(/** @type {PointerEvent} */ event) => chart.moved(event)}
      @pointerdown=${(/** @type {PointerEvent} */ event) => chart.pressed(event)}
      @pointerup=${() => chart.released()}
      @pointercancel=${() => {
        chart.looked = null;
        chart.zoom(data.zoom ?? null);
      }}
      @pointerleave=${(/** @type {PointerEvent} */ left) => left.pointerType === 'touch' || chart.look(null)}
      @blur=${() => chart.look(null)}
      @keydown=${(/** @type {KeyboardEvent} */ event) => step(chart, data, event)}>
      <svg width=${chart.width} height=${HEIGHT} viewBox="0 0 ${chart.width} ${HEIGHT}" aria-hidden="true">
        ${chart.dragged === null ? null : dragged(chart.dragged.map(x))}
        ${each(marks, (mark) => mark, (mark) => svg`<g>
          <line class=${mark === 0 ? 'chart-base' : 'chart-grid'} x1=${LEFT} x2=${chart.width - RIGHT} y1=${y(mark)} y2=${y(mark)}/>
          <text class="chart-mark" x=${LEFT - 8} y=${y(mark) + 4} text-anchor="end">${short(mark)}</text>
        </g>`)}
        ${each(timeTicks(from, to, Math.max(2, Math.floor(chart.width / 90))), (time) => time, (time) => svg`<text class="chart-mark" x=${x(time)} y=${HEIGHT - 5}
          text-anchor=${x(time) > chart.width - 34 ? 'end' : 'middle'}>${clock(time).slice(0, to - from < 180_000 ? 8 : 5)}</text>`)}
        ${each(shown, ({name}) => name, ({tone, points}) => svg`<path class="chart-line" css=${{stroke: `var(--tone-${tone})`}} d=${path(points, x, y, data.gap)}/>`)}
        ${each(events, (one) => one.at, (one) => svg`<path class=${one === event ? 'chart-event is-told' : 'chart-event'} d="M${x(one.at)} ${HEIGHT - BOTTOM}V${TOP}l-4 -6h8l-4 6"/>`)}
        ${at === null ? null : svg`<line class="chart-cursor" x1=${x(at)} x2=${x(at)} y1=${TOP} y2=${HEIGHT - BOTTOM}/>`}
      </svg>
      ${event === null ? null : html`<div class="chart-note" css=${x(event.at) * 2 > chart.width ? {right: `${chart.width - x(event.at)}px`, left: 'auto'} : {left: `${x(event.at)}px`, right: 'auto'}}>${event.text}</div>`}
    </div>
    <div class="chart-legend">
      ${each(data.series, ({name}) => name, (series) => legend(chart, data, series))}
      <span class="chart-when">${at === null ? '' : html`<time title=${new Date(at).toString()}>${clock(at)}</time>`}</span>
      ${isZoomed ? html`<button type="button" class="link" title="Escape does it, too" @click=${() => chart.zoom(null)}>Whole time</button>` : null}
    </div>`;
}

/** @param {number[]} ends */
function dragged(ends) {
  const [left, right] = ends.sort((one, other) => one - other);
  return svg`<rect class="chart-dragged" x=${left} y=${TOP} width=${right - left} height=${HEIGHT - TOP - BOTTOM}/>`;
}

/**
 * @param {number} time
 * @returns {string} `10:42:07`
 */
function clock(time) {
  return new Date(time).toTimeString().slice(0, 8);
}

/**
 * @param {TimeChart} chart
 * @param {ChartData} data
 * @param {Series} series
 */
function legend(chart, data, {name, tone, points}) {
  const found = chart.looked === null ? points.length - 1 : nearest(points, chart.looked);
  const isHidden = chart.hidden_.has(name);
  return html`<button type="button" class="chart-key" aria-pressed=${isHidden ? 'false' : 'true'}
      title=${isHidden ? `Show ${name}` : `Hide ${name}`} @click=${() => chart.toggle(name)}>
    <span class="chart-swatch" css=${{background: `var(--tone-${tone})`}}></span>
    <span>${name}</span>
    <span class="chart-value">${found < 0 ? '–' : data.format(points[found][1])}</span>
  </button>`;
}

/**
 * @param {Mark[]} events
 * @param {number} at
 * @param {number} near
 * @returns {Mark | null} The nearest, if it is near.
 */
function eventAt(events, at, near) {
  const found = nearest(events.map((one) => [one.at, 0]), at);
  return found < 0 || Math.abs(events[found].at - at) > near ? null : events[found];
}

/**
 * @param {ChartData} data
 * @param {Mark[]} events
 * @returns {string} For who does not see it.
 */
function spoken({label, series, format}, events) {
  const last = series.map(({name, points}) =>
    points.length === 0 ? `${name} unknown` : `${name} ${format(points[points.length - 1][1])}`,
  );
  const happened = events.length === 0 ? '' : ` Happened: ${events.map(({text}) => text.replaceAll('\n', ', ')).join('; ')}.`;
  return `${label}. Now: ${last.join(', ')}.${happened}`;
}

/**
 * @param {TimeChart} chart
 * @param {PointerEvent} event
 * @returns {number}
 */
function timeAt(chart, event) {
  const [from, to] = chart.span;
  const part = (event.clientX - chart.getBoundingClientRect().left - LEFT) / (chart.width - LEFT - RIGHT);
  return from + part * (to - from);
}

/**
 * @param {ChartData} data
 * @param {number} time
 * @returns {number | null} When the nearest value was.
 */
function snapped({series}, time) {
  const points = series.find((one) => one.points.length > 0)?.points ?? [];
  const found = nearest(points, time);
  return found < 0 ? null : points[found][0];
}

/**
 * @param {TimeChart} chart
 * @param {ChartData} data
 * @param {KeyboardEvent} event
 */
function step(chart, data, event) {
  const [from, to] = chart.span;
  const points = (data.series.find((one) => one.points.length > 0)?.points ?? []).filter(([time]) => time >= from && time <= to);
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  const size = {'+': 0.5, '-': 2}[event.key];
  if (event.key === 'Escape' && data.zoom) chart.zoom(null);
  else if (by !== undefined && points.length > 0) {
    const now = chart.looked === null ? points.length : nearest(points, chart.looked);
    chart.look(points[Math.min(points.length - 1, Math.max(0, now + by))][0]);
  } else if (size !== undefined) {
    const middle = chart.looked ?? (from + to) / 2;
    const half = ((to - from) * size) / 2;
    const span = /** @type {Span} */ ([Math.max(data.from, middle - half), Math.min(data.to, middle + half)]);
    chart.zoom(span[0] === data.from && span[1] === data.to ? null : span);
  } else return;
  event.preventDefault();
}

customElements.define('time-chart', TimeChart);
