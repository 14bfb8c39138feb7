/**
 * Nodes from tagged templates: html`<b>${name}</b>`, and what was shown before is changed in place.
 *
 * A value becomes a text or a property, never markup, so whatever a name contains is shown and does nothing.
 * Stays true: an element that is still wanted stays the same element, with its focus and its scroll.
 *
 * In a template: `${x}` between tags is a text, a template, an array or `each(…)`; nothing for null and
 * false. `name=${x}` is an attribute (absent for null and false), `.name=${x}` a property, `@name=${f}` a
 * listener, `css=${{width: '4em'}}` styles, and `ref=${f}` is given the element once.
 *
 * @module
 */

import {at, HTML, shapeOf, SVG} from './shape.js';

/** @typedef {import('./shape.js').Shape} Shape */
/** @typedef {{strings: TemplateStringsArray, values: unknown[], space: string}} Template */

/**
 * @param {TemplateStringsArray} strings
 * @param {...unknown} values
 * @returns {Template}
 */
export function html(strings, ...values) {
  return {strings, values, space: HTML};
}

/**
 * The same for what stands inside of `<svg>`.
 *
 * @param {TemplateStringsArray} strings
 * @param {...unknown} values
 * @returns {Template}
 */
export function svg(strings, ...values) {
  return {strings, values, space: SVG};
}

/** A list whose elements follow their keys. */
class Keyed {
  /**
   * @param {Iterable<unknown>} items
   * @param {(item: any, index: number) => unknown} key
   * @param {(item: any, index: number) => unknown} view
   * @param {boolean} [recycles]
   */
  constructor(items, key, view, recycles = false) {
    this.items = items;
    this.key = key;
    this.view = view;
    this.recycles = recycles;
  }
}

/**
 * @template T
 * @param {Iterable<T>} items
 * @param {(item: T, index: number) => unknown} key Different for each of them.
 * @param {(item: T, index: number) => Template} view With one element outermost.
 * @returns {Keyed}
 */
export function each(items, key, view) {
  return new Keyed(items, key, view);
}

/**
 * `each` for rows that are scrolled by: an element whose key is gone serves another key, unless it has the
 * focus, which is cheaper by far than to make a new one.
 *
 * @template T
 * @param {Iterable<T>} items
 * @param {(item: T, index: number) => unknown} key
 * @param {(item: T, index: number) => Template} view
 * @returns {Keyed}
 */
export function recycled(items, key, view) {
  return new Keyed(items, key, view, true);
}

/** A value that leaves in its place what is shown there. */
export const KEPT = Symbol('kept');

/** @type {WeakMap<Node, Slot>} */
const rendered = new WeakMap();

/**
 * Shows a value in an element that has nothing else in it.
 *
 * @param {unknown} value
 * @param {Element} container
 */
export function render(value, container) {
  let slot = rendered.get(container);
  if (slot === undefined) {
    container.replaceChildren(document.createComment(''));
    slot = new Slot(/** @type {Comment} */ (container.firstChild));
    rendered.set(container, slot);
  }
  slot.set(value);
}

/** A template that is shown. */
class Instance {
  /** @param {Shape} shape */
  constructor(shape) {
    this.shape = shape;
    this.fragment = /** @type {DocumentFragment} */ (document.importNode(shape.fragment, true));
    // All nodes are found before the first slot adds its own.
    const found = shape.holes.map((hole) => ({hole, node: at(this.fragment, hole.path)}));
    this.bindings = found.map(({hole, node}) =>
      hole.kind === 'child'
        ? new ChildBinding(/** @type {Comment} */ (node), hole.hole)
        : new AttributeBinding(/** @type {Element} */ (node), hole.name, hole.parts),
    );
  }

  /** @param {unknown[]} values */
  update(values) {
    for (const binding of this.bindings) binding.update(values);
  }
}

/** A hole between tags. */
class ChildBinding {
  /**
   * @param {Comment} anchor
   * @param {number} hole
   */
  constructor(anchor, hole) {
    this.slot = new Slot(anchor);
    this.hole = hole;
  }

  /** @param {unknown[]} values */
  update(values) {
    this.slot.set(values[this.hole]);
  }
}

/** An attribute, a property, a listener, styles, or whoever wants the element. */
class AttributeBinding {
  /**
   * @param {Element} element
   * @param {string} name
   * @param {(string | number)[]} parts
   */
  constructor(element, name, parts) {
    this.element = element;
    this.name = name;
    this.parts = parts;
    /** @type {unknown} */
    this.last = undefined;
    if (name.startsWith('@')) {
      element.addEventListener(name.slice(1), (event) => {
        if (typeof this.last === 'function') this.last.call(element, event);
      });
    }
  }

  /** @param {unknown[]} values */
  update(values) {
    const {element, name, parts} = this;
    const value =
      parts.length === 1
        ? values[Number(parts[0])]
        : parts.map((part) => (typeof part === 'number' ? (values[part] ?? '') : part)).join('');
    const last = this.last;
    this.last = value;
    if (name.startsWith('@')) return;
    if (name.startsWith('.')) {
      // What somebody types changes the property, too.
      const own = /** @type {any} */ (element);
      const key = name.slice(1);
      if (own[key] !== value) own[key] = value;
    } else if (name === 'ref') {
      if (last === undefined && typeof value === 'function') value(element);
    } else if (name === 'css') {
      setStyles(/** @type {HTMLElement} */ (element), value);
    } else if (value !== last) {
      setAttribute(element, name, value);
    }
  }
}

/**
 * @param {HTMLElement} element
 * @param {unknown} styles
 */
function setStyles(element, styles) {
  for (const [name, value] of Object.entries(styles ?? {})) {
    if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

/** A place for any value: what stands between two comments. */
class Slot {
  /** @param {Comment} end */
  constructor(end) {
    this.end = end;
    this.start = document.createComment('');
    end.before(this.start);
    /** @type {Text | Instance | Items | Node | null} */
    this.shown = null;
    /** @type {unknown} */
    this.last = undefined;
  }

  /** @param {unknown} value A template that was kept from last time changes nothing. */
  set(value) {
    if (value === KEPT) return;
    if (typeof value === 'object' && value !== null && value === this.last && 'strings' in value) return;
    this.last = value;
    if (value === null || value === undefined || typeof value === 'boolean' || value === '') {
      this.clear();
    } else if (value instanceof Keyed || Array.isArray(value)) {
      if (!(this.shown instanceof Items)) this.replace(new Items(this.end));
      /** @type {Items} */ (this.shown).update(value);
    } else if (value instanceof Node) {
      if (this.shown !== value) this.replace(value, value);
    } else if (typeof value === 'object' && 'strings' in value) {
      this.setTemplate(/** @type {Template} */ (value));
    } else if (this.shown instanceof Text) {
      const text = String(value);
      if (this.shown.data !== text) this.shown.data = text;
    } else {
      const text = document.createTextNode(String(value));
      this.replace(text, text);
    }
  }

  /** @param {Template} template */
  setTemplate(template) {
    const shape = shapeOf(template);
    if (this.shown instanceof Instance && this.shown.shape === shape) {
      this.shown.update(template.values);
    } else {
      const instance = new Instance(shape);
      instance.update(template.values);
      this.replace(instance, instance.fragment);
    }
  }

  /**
   * @param {Text | Instance | Items | Node} shown
   * @param {Node} [nodes]
   */
  replace(shown, nodes) {
    this.clear();
    this.shown = shown;
    if (nodes !== undefined) this.end.before(nodes);
  }

  clear() {
    if (this.shown === null) return;
    this.shown = null;
    while (this.start.nextSibling !== this.end) this.start.nextSibling?.remove();
  }
}

/** Elements in a row, by their keys. */
class Items {
  /** @param {Comment} end */
  constructor(end) {
    this.end = end;
    /** @type {Map<unknown, Item>} */
    this.items = new Map();
  }

  /** @param {Keyed | unknown[]} list */
  update(list) {
    const keyed = list instanceof Keyed ? list : new Keyed(list, (_, index) => index, (view) => view);
    /** @type {Map<unknown, unknown>} */
    const views = new Map();
    for (const [index, value] of [...keyed.items].entries()) {
      const key = keyed.key(value, index);
      if (!views.has(key)) views.set(key, keyed.view(value, index));
    }
    const gone = [...this.items].filter(([key]) => !views.has(key)).map(([, item]) => item);
    // The first serves the first: where all are others none has to move.
    const free = keyed.recycles ? gone.filter((item) => !item.hasFocus()).reverse() : [];
    /** @type {Map<unknown, Item>} */
    const items = new Map();
    for (const [key, view] of views) {
      const item = this.items.get(key) ?? free.pop() ?? new Item();
      item.set(view);
      items.set(key, item);
    }
    const used = new Set(items.values());
    for (const item of gone) if (!used.has(item)) item.remove();
    this.items = items;
    this.order();
  }

  /** Puts each before the one behind it, from the end, and leaves alone what stands there. */
  order() {
    /** @type {Node} */
    let next = this.end;
    for (const item of [...this.items.values()].reverse()) {
      if (item.slot.end.nextSibling !== next) item.moveBefore(next);
      next = item.slot.start;
    }
  }
}

/** One of a list. */
class Item {
  constructor() {
    this.fragment = document.createDocumentFragment();
    const end = document.createComment('');
    this.fragment.appendChild(end);
    this.slot = new Slot(end);
  }

  /** @param {unknown} value */
  set(value) {
    this.slot.set(value);
  }

  /** @param {Node} next */
  moveBefore(next) {
    const parent = /** @type {any} */ (next.parentNode);
    // Where there is such a thing an element that moves keeps its focus and its state.
    const canMove = typeof parent.moveBefore === 'function' && this.slot.end.isConnected && next.isConnected;
    for (const node of this.nodes()) {
      if (canMove) parent.moveBefore(node, next);
      else parent.insertBefore(node, next);
    }
  }

  remove() {
    for (const node of this.nodes()) node.parentNode?.removeChild(node);
  }

  /** @returns {boolean} */
  hasFocus() {
    const focus = document.activeElement;
    return focus !== null && this.nodes().some((node) => node.contains(focus));
  }

  /** @returns {Node[]} All of it, with its comments. */
  nodes() {
    const nodes = [];
    /** @type {Node | null} */
    let node = this.slot.start;
    while (node !== null && node !== this.slot.end) {
      nodes.push(node);
      node = node.nextSibling;
    }
    nodes.push(this.slot.end);
    return nodes;
  }
}
