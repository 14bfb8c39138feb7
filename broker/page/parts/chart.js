/**
 * `<time-chart>`: lines over time, with what was at a moment under the pointer, or at the arrow keys.
 *
 * Set `.data`; the element draws itself at its own width. Stays true: a scale grows at once and shrinks
 * when the range has left what made it grow; the legend has its place whether there are values or not.
 *
 * @module
 */

import {each, html, render, svg} from './html.js';
import {short} from './number.js';
import {nearest, path, ticks, timeTicks} from './scale.js';
import {clock, exact} from './time.js';

/**
 * @typedef {import('./scale.js').Point} Point
 * @typedef {{name: string, tone: string, points: Point[]}} Series `tone` is one of the colours `--tone-…`.
 * @typedef {{label: string, series: Series[], from: number, to: number, gap: number,
 *   format: (value: number) => string}} ChartData
 */

const HEIGHT = 168;
const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;

/** See the module documentation. */
export class TimeChart extends HTMLElement {
  constructor() {
    super();
    /** @type {ChartData | null} */
    this.own = null;
    this.width = 0;
    /** @type {number | null} The time that is looked at. */
    this.looked = null;
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
  const shown = data.series.filter(({name}) => !chart.hidden_.has(name));
  const largest = Math.max(0, ...shown.flatMap(({points}) => points.map(([, value]) => value)));
  const marks = ticks(largest);
  const top = marks[marks.length - 1];
  const span = Math.max(1, data.to - data.from);
  const x = (/** @type {number} */ time) => LEFT + ((time - data.from) / span) * (chart.width - LEFT - RIGHT);
  const y = (/** @type {number} */ value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const times = timeTicks(data.from, data.to, Math.max(2, Math.floor(chart.width / 90)));
  const at = chart.looked;
  return html`
    <div class="chart-plot" tabindex="0" role="img" aria-label=${spoken(data)}
      @pointermove=${(/** @type {PointerEvent} */ event) => chart.look(timeAt(chart, data, event))}
      @pointerleave=${() => chart.look(null)}
      @blur=${() => chart.look(null)}
      @keydown=${(/** @type {KeyboardEvent} */ event) => step(chart, data, event)}>
      <svg width=${chart.width} height=${HEIGHT} viewBox="0 0 ${chart.width} ${HEIGHT}" aria-hidden="true">
        ${each(
          marks,
          (mark) => mark,
          (mark) => svg`<g>
          <line class=${mark === 0 ? 'chart-base' : 'chart-grid'} x1=${LEFT} x2=${chart.width - RIGHT} y1=${y(mark)} y2=${y(mark)}/>
          <text class="chart-mark" x=${LEFT - 8} y=${y(mark) + 4} text-anchor="end">${short(mark)}</text>
        </g>`,
        )}
        ${each(
          times,
          (time) => time,
          (time) => svg`<text class="chart-mark" x=${x(time)} y=${HEIGHT - 5}
          text-anchor=${x(time) > chart.width - 34 ? 'end' : 'middle'}>${clock(time).slice(0, span < 180_000 ? 8 : 5)}</text>`,
        )}
        ${each(
          shown,
          ({name}) => name,
          ({tone, points}) => svg`<path class="chart-line"
          css=${{stroke: `var(--tone-${tone})`}} d=${path(points, x, y, data.gap)}/>`,
        )}
        ${at === null ? null : svg`<line class="chart-cursor" x1=${x(at)} x2=${x(at)} y1=${TOP} y2=${HEIGHT - BOTTOM}/>`}
      </svg>
    </div>
    <div class="chart-legend">
      ${each(
        data.series,
        ({name}) => name,
        (series) => legend(chart, data, series),
      )}
      <span class="chart-when">${at === null ? '' : html`<time title=${exact(at)}>${clock(at)}</time>`}</span>
    </div>`;
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
 * @param {ChartData} data
 * @returns {string} For who does not see it.
 */
function spoken({label, series, format}) {
  const last = series.map(({name, points}) =>
    points.length === 0 ? `${name} unknown` : `${name} ${format(points[points.length - 1][1])}`,
  );
  return `${label}. Now: ${last.join(', ')}.`;
}

/**
 * @param {TimeChart} chart
 * @param {ChartData} data
 * @param {PointerEvent} event
 * @returns {number | null}
 */
function timeAt(chart, data, event) {
  const box = chart.getBoundingClientRect();
  const part = (event.clientX - box.left - LEFT) / (chart.width - LEFT - RIGHT);
  if (part < 0 || part > 1) return null;
  return snapped(data, data.from + part * (data.to - data.from));
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
  const points = data.series.find((one) => one.points.length > 0)?.points ?? [];
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (by === undefined || points.length === 0) return;
  event.preventDefault();
  const now = chart.looked === null ? points.length : nearest(points, chart.looked);
  chart.look(points[Math.min(points.length - 1, Math.max(0, now + by))][0]);
}

customElements.define('time-chart', TimeChart);
