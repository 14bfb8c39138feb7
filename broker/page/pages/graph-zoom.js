/**
 * A drawing in a box that is larger than the box: seen closer or from further away, and moved by dragging, by
 * scrolling and by the arrow keys.
 *
 * Stays true: what is under the pointer stays there when it comes closer.
 *
 * @module
 */

import {html} from '../parts/html.js';

const STEP = 1.25;
const LEAST = 0.2;
const MOST = 4;

/**
 * @param {number} scale
 * @returns {number} One that is allowed.
 */
export function bounded(scale) {
  return Math.min(MOST, Math.max(LEAST, scale));
}

/**
 * @param {number} scroll How far the box is scrolled.
 * @param {number} at Of what is seen there: a place in the box.
 * @param {number} growth How much larger everything is drawn now.
 * @returns {number} How far it is scrolled, so that the same is seen there.
 */
export function scrolled(scroll, at, growth) {
  return Math.max(0, (scroll + at) * growth - at);
}

/** See the module documentation. */
export class Zoom {
  /** @param {() => void} redraw */
  constructor(redraw) {
    this.redraw = redraw;
    this.scale = 1;
    /** @type {HTMLElement | null} */
    this.box = null;
    /** @type {{width: number, height: number}} Of the drawing, at the scale 1. */
    this.size = {width: 0, height: 0};
  }

  /**
   * @param {number} wanted
   * @param {{x: number, y: number}} [at] What stays where it is: a place in the box, or its middle.
   */
  to(wanted, at) {
    const {box, scale} = this;
    this.scale = bounded(wanted);
    if (box === null || this.scale === scale) return;
    const {x, y} = at ?? {x: box.clientWidth / 2, y: box.clientHeight / 2};
    const [left, top] = [box.scrollLeft, box.scrollTop].map((scroll, n) => scrolled(scroll, n === 0 ? x : y, this.scale / scale));
    this.redraw();
    // It is drawn in a microtask of its own, before this one.
    queueMicrotask(() => box.scrollTo(left, top));
  }

  /** All of it, if that can be read. */
  fit() {
    if (this.box === null) return;
    const {width, height} = this.size;
    this.to(Math.min(1, this.box.clientWidth / width, (innerHeight * 0.6) / height));
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!event.ctrlKey || this.box === null) return;
    event.preventDefault();
    const box = this.box.getBoundingClientRect();
    this.to(this.scale * STEP ** (-event.deltaY / 100), {x: event.clientX - box.left, y: event.clientY - box.top});
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const by = {'+': STEP, '=': STEP, '-': 1 / STEP}[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (by !== undefined) this.to(this.scale * by);
    else if (event.key === '0') this.fit();
    else return;
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  press(event) {
    const {box} = this;
    const isOnNode = event.target instanceof Element && event.target.closest('a') !== null;
    if (box === null || isOnNode || event.button !== 0 || event.pointerType === 'touch') return;
    const [x, y, left, top] = [event.clientX, event.clientY, box.scrollLeft, box.scrollTop];
    const move = (/** @type {PointerEvent} */ now) => box.scrollTo(left + x - now.clientX, top + y - now.clientY);
    box.setPointerCapture(event.pointerId);
    box.classList.add('is-dragged');
    box.addEventListener('pointermove', move);
    const end = () => {
      box.removeEventListener('pointermove', move);
      box.classList.remove('is-dragged');
    };
    box.addEventListener('lostpointercapture', end, {once: true});
  }

  buttons() {
    const isWhole = Math.abs(this.scale - 1) < 0.01;
    return html`<div class="graph-zoom" role="group" aria-label="How close the graph is">
      <button type="button" class="button" aria-label="Closer" title="Closer: + or Ctrl and the wheel" disabled=${this.scale >= MOST} @click=${() => this.to(this.scale * STEP)}>+</button>
      <button type="button" class="button" aria-label="Further" title="Further away: −" disabled=${this.scale <= LEAST} @click=${() => this.to(this.scale / STEP)}>−</button>
      <button type="button" class="button" title="All of it: 0" @click=${() => this.fit()}>Fit</button>
      <button type="button" class="button" disabled=${isWhole} @click=${() => this.to(1)}>${Math.round(100 * this.scale)}%</button>
    </div>`;
  }
}
