/**
 * What a pointer is told over a word (exact times, what a badge means), told to a finger and to the keyboard: a
 * note beside the word, once it is touched, clicked or focused.
 *
 * Begun and ended by `shell`, for everything that has a `title` and does nothing itself. Stays true: in lists no
 * word is a stop of the Tab key, since there would be hundreds: within a row the arrow keys left and right go
 * from one to the next. Nothing on the page moves for the note, which goes when one looks elsewhere.
 *
 * @module
 */

/** What is told so. A name says it all already, unless it is cut. */
const WORDS = 'time[title], span[title], small[title], dt[title], bdi[title], .meter[title]';
/** These do something when they are touched. */
const DOES = 'a, button, summary, label, input, select, textarea, svg, [role="option"]';
/** What the arrow keys go to in a row. */
const STOPS = 'a[href], button, input, summary, time[title], span[title], small[title]';
/** Between a word and its note, and from the edge of the window, in pixels. */
const GAP = 4;
const EDGE = 8;

/** See the module documentation. */
export class Aside {
  constructor() {
    this.note = document.createElement('div');
    this.note.className = 'aside';
    this.note.setAttribute('role', 'status');
    this.note.popover = 'manual';
    /** @type {Element | null} */
    this.of = null;
  }

  start() {
    document.body.append(this.note);
    document.addEventListener('click', this.clicked);
    document.addEventListener('focusin', this.focused);
    document.addEventListener('focusout', this.hide);
    document.addEventListener('keydown', this.pressed);
    document.addEventListener('scroll', this.scrolled, {capture: true, passive: true});
  }

  stop() {
    document.removeEventListener('click', this.clicked);
    document.removeEventListener('focusin', this.focused);
    document.removeEventListener('focusout', this.hide);
    document.removeEventListener('keydown', this.pressed);
    document.removeEventListener('scroll', this.scrolled, {capture: true});
    this.note.remove();
  }

  /** @param {Element} top What was just drawn: times that are not in lists can be reached. */
  drawn(top) {
    for (const time of top.querySelectorAll('time[title]:not([tabindex])')) {
      if (time.closest(`tr, li, ${DOES}`) === null) time.setAttribute('tabindex', '0');
    }
    // A row may be of another thing by now.
    if (this.of !== null && (!this.of.isConnected || this.of.getAttribute('title') !== this.note.textContent)) this.hide();
  }

  clicked = (/** @type {MouseEvent} */ event) => {
    const word = event.target instanceof Element ? wordAt(event.target) : null;
    if (word === null) this.hide();
    else if (getSelection()?.isCollapsed !== false) this.tell(word);
  };

  focused = (/** @type {FocusEvent} */ event) => {
    if (event.target instanceof Element && event.target.matches(WORDS)) this.tell(event.target);
  };

  // The keyboard brings what it goes to into view, and scrolls for that.
  scrolled = () => {
    if (this.of !== null && this.of === document.activeElement) this.place(this.of);
    else this.hide();
  };

  pressed = (/** @type {KeyboardEvent} */ event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (event.key === 'Escape') this.hide();
    else if (by !== undefined && event.target instanceof Element && !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      const next = beside(event.target, by);
      if (next === null) return;
      if (next.matches(WORDS)) next.tabIndex = -1;
      next.focus();
      event.preventDefault();
    }
  };

  /** @param {Element} word */
  tell(word) {
    this.of = word;
    this.note.textContent = word.getAttribute('title');
    this.note.showPopover();
    this.place(word);
  }

  /** @param {Element} word */
  place(word) {
    const {left, right, top, bottom} = word.getBoundingClientRect();
    const {innerWidth: width, innerHeight: height} = window;
    const isLeft = left + right < width;
    const isAbove = bottom > height * 0.75;
    const side = Math.max(EDGE, isLeft ? left : width - right);
    const px = (/** @type {number} */ number) => `${Math.round(number)}px`;
    Object.assign(this.note.style, {
      left: isLeft ? px(side) : 'auto',
      right: isLeft ? 'auto' : px(side),
      top: isAbove ? 'auto' : px(bottom + GAP),
      bottom: isAbove ? px(height - top + GAP) : 'auto',
      maxWidth: px(Math.min(width - side - EDGE, 352)),
    });
  }

  hide = () => {
    if (this.of === null) return;
    this.of = null;
    this.note.hidePopover();
  };
}

/**
 * @param {Element} at
 * @returns {Element | null} What is told of it, if it does nothing else.
 */
function wordAt(at) {
  const word = at.closest(WORDS);
  if (word === null || !word.getAttribute('title') || at.closest(DOES) !== null) return null;
  return word.tagName !== 'BDI' || isCut(word) ? word : null;
}

/** @param {Element} name */
function isCut(name) {
  const place = name.closest('td, .cut, .bar-cluster') ?? name;
  return name.getAttribute('title') !== name.textContent || place.scrollWidth > place.clientWidth;
}

/**
 * @param {Element} at Where the focus is.
 * @param {number} by
 * @returns {HTMLElement | null} What is beside it in its row, where a row has something to tell.
 */
function beside(at, by) {
  const row = at.closest('tr, li');
  if (row === null || at.matches('input:not([type="checkbox"]), select, textarea')) return null;
  const all = /** @type {HTMLElement[]} */ ([...row.querySelectorAll(STOPS)]);
  const isStop = (/** @type {HTMLElement} */ one) => one.checkVisibility() && (one.matches(DOES) || wordAt(one) !== null);
  const stops = all.filter(isStop);
  const found = stops.indexOf(/** @type {HTMLElement} */ (at));
  return found < 0 || !stops.some((one) => one.matches(WORDS)) ? null : (stops[found + by] ?? null);
}
