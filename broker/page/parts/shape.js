/**
 * What a template is made of, once for each place in the source: nodes to be copied, and the ways to its holes.
 *
 * @module
 */

import {parse} from './template.js';

/** @typedef {import('./template.js').TemplateNode} TemplateNode */

export const HTML = 'http://www.w3.org/1999/xhtml';
export const SVG = 'http://www.w3.org/2000/svg';

/**
 * @typedef {{path: number[], kind: 'child', hole: number}
 *   | {path: number[], kind: 'attribute', name: string, parts: (string | number)[]}} Hole
 * @typedef {{fragment: DocumentFragment, holes: Hole[]}} Shape
 */

/** @type {WeakMap<TemplateStringsArray, Shape>} */
const shapes = new WeakMap();

/**
 * @param {{strings: TemplateStringsArray, space: string}} template
 * @returns {Shape}
 */
export function shapeOf({strings, space}) {
  let shape = shapes.get(strings);
  if (shape === undefined) {
    shape = {fragment: document.createDocumentFragment(), holes: []};
    build(parse(strings), shape.fragment, [], space, shape.holes);
    shapes.set(strings, shape);
  }
  return shape;
}

/**
 * @param {TemplateNode[]} nodes
 * @param {Node} parent
 * @param {number[]} path
 * @param {string} space
 * @param {Hole[]} holes
 */
function build(nodes, parent, path, space, holes) {
  nodes.forEach((node, index) => {
    const own = [...path, index];
    if (node.kind === 'text') {
      parent.appendChild(document.createTextNode(node.text));
    } else if (node.kind === 'hole') {
      parent.appendChild(document.createComment(''));
      holes.push({path: own, kind: 'child', hole: node.hole});
    } else {
      const inside = node.tag === 'svg' ? SVG : space;
      const element = document.createElementNS(inside, node.tag);
      for (const {name, parts} of node.attributes) {
        const isPlain = parts.every((part) => typeof part === 'string');
        if (isPlain) element.setAttribute(name, parts.join(''));
        else holes.push({path: own, kind: 'attribute', name, parts});
      }
      parent.appendChild(element);
      build(node.children, element, own, inside, holes);
    }
  });
}

/**
 * @param {Node} top A copy of the nodes.
 * @param {number[]} path
 * @returns {Node}
 */
export function at(top, path) {
  return path.reduce((node, index) => /** @type {Node} */ (node.childNodes[index]), top);
}
