/**
 * A graph of where messages go, drawn: exchanges are round, queues are square, what is no binding is dashed.
 *
 * @module
 */

import {each, html, svg} from '../parts/html.js';
import {layout} from './route-layout.js';
import {href} from '../app/place.js';
import {changedQuery} from '../parts/route.js';
import {named} from './bindings.js';
import {Zoom} from './graph-zoom.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {import('./routes.js').Routes} Routes */
/** @typedef {import('./routes.js').RouteNode} RouteNode */
/** @typedef {import('./routes.js').RouteEdge} RouteEdge */

const SIZES = {width: 176, height: 34, gapX: 144, gapY: 12};
/** Room around it, for lines that go back. */
const EDGE = 24;
/** Of a name so many letters are drawn; all of it is said on hover, and where it leads. */
const LETTERS = {queue: 22, queues: 22, exchange: 19};
/** And of what is told below one so many. */
const LETTERS_ABOUT = 27;
/** Of queues that are drawn as one so many are named. */
const NAMED = 8;
/** More edges than these have no keys written on them, until one looks at a node. */
const WRITTEN = 60;

/** @type {Record<RouteEdge['kind'], string>} */
const KINDS = {binding: 'leads to', alternate: 'passes on what finds no way to', dead: 'sends its dead letters to'};

/**
 * Its layout is made anew only where the graph is another.
 *
 * @param {Context} ctx
 * @param {string} key Where it is kept.
 * @param {Routes} routes
 * @returns {import('./route-layout.js').Layout}
 */
function laidOut(ctx, key, {nodes, edges}) {
  const mark = JSON.stringify([nodes.map(({id}) => id), edges.map(({from, to}) => [from, to])]);
  if (ctx.state[key]?.mark !== mark) ctx.state[key] = {mark, layout: layout(nodes, edges, SIZES)};
  return ctx.state[key].layout;
}

/**
 * @param {Context} ctx
 * @param {Routes} routes
 * @param {{vhost: string, label: string, key?: string, isWhole?: boolean}} options `isWhole`: as wide as the page.
 */
export function routeGraph(ctx, routes, {vhost, label, key = 'graph', isWhole = false}) {
  const {width, height, places, paths} = laidOut(ctx, key, routes);
  const near = ctx.state.near ?? null;
  const isNear = (/** @type {RouteEdge} */ edge) => near !== null && (edge.from === near || edge.to === near);
  const touched = new Set(routes.edges.filter(isNear).flatMap(({from, to}) => [from, to]));
  const look = (/** @type {string | null} */ id) => {
    if (ctx.state.near === id) return;
    ctx.state.near = id;
    ctx.draw();
  };
  const [wide, high] = [width + 2 * EDGE, height + 2 * EDGE];
  const isWritten = routes.edges.length <= WRITTEN;
  const lines = routes.edges.map((edge, n) => ({edge, path: paths[n]}));
  /** @type {Zoom} */
  const zoom = (ctx.state[`zoom of ${key}`] ??= new Zoom(ctx.draw));
  zoom.size = {width: wide, height: high};
  return html`<div class=${isWhole ? 'graph is-whole' : 'graph'} tabindex="0" role="group" aria-label=${label}
    ref=${(/** @type {HTMLElement} */ box) => Object.assign(zoom, {box})}
    @wheel=${(/** @type {WheelEvent} */ event) => zoom.wheel(event)}
    @keydown=${(/** @type {KeyboardEvent} */ event) => zoom.key(event)}
    @pointerdown=${(/** @type {PointerEvent} */ event) => zoom.press(event)}>
    <svg class=${near === null ? '' : 'is-looked-at'} width=${Math.round(wide * zoom.scale)} height=${Math.round(high * zoom.scale)} viewBox=${`${-EDGE} ${-EDGE} ${wide} ${high}`}>
      ${each(lines, ({edge}) => `${edge.from} ${edge.to} ${edge.kind}`, ({edge, path}) => svg`<path class=${`graph-edge is-${edge.kind} ${edge.isLit ? 'is-lit' : ''} ${isNear(edge) ? 'is-near' : ''}`} d=${path}/>`)}
      ${each(lines.filter(({edge}) => edge.label !== '' && (isWritten || isNear(edge))), ({edge}) => `${edge.from} ${edge.to} ${edge.kind}`, ({edge}) => written(edge, places, isNear(edge)))}
      ${each(routes.nodes, ({id}) => id, (node) => drawn(node, places, vhost, touched.has(node.id) || node.id === near, look))}
    </svg>
  </div>
  <div class="graph-foot"><p class="graph-key"><span><i class="graph-sample is-exchange"></i> exchange</span> <span><i class="graph-sample"></i> queue</span>
    <span><i class="graph-line"></i> binding</span> <span><i class="graph-line is-dashed"></i> alternate exchange</span>
    <span><i class="graph-line is-dashed is-dead"></i> dead letters</span></p>${zoom.buttons()}</div>
  ${inWords(routes)}`;
}

/**
 * @param {RouteEdge} edge
 * @param {Map<string, import('./route-layout.js').Place>} places
 * @param {boolean} isNear
 */
function written(edge, places, isNear) {
  const [from, to] = [places.get(edge.from), places.get(edge.to)];
  // On the side where its line does not come from.
  const beside = (from?.y ?? 0) < (to?.y ?? 0) ? 13 : -5;
  const text = edge.label.length > 18 ? `${edge.label.slice(0, 17)}…` : edge.label;
  return svg`<text class=${`graph-label ${edge.isLit ? 'is-lit' : ''} ${isNear ? 'is-near' : ''}`} x=${(to?.x ?? 0) - 8} y=${(to?.y ?? 0) + SIZES.height / 2 + beside} text-anchor="end">${text}</text>`;
}

/**
 * @param {RouteNode} node
 * @param {Map<string, import('./route-layout.js').Place>} places
 * @param {string} vhost
 * @param {boolean} isNear
 * @param {(id: string | null) => void} look
 */
function drawn(node, places, vhost, isNear, look) {
  const {x = 0, y = 0} = places.get(node.id) ?? {};
  const isExchange = node.kind === 'exchange';
  const shown = isExchange && node.name === '' ? '(default exchange)' : node.name;
  const to = leadsTo(node, vhost);
  const text = cut(shown, LETTERS[node.kind]);
  const about = cut(node.about, LETTERS_ABOUT);
  return svg`<a href=${to} class=${`graph-node is-${node.kind} ${node.isLit ? 'is-lit' : ''} ${isNear ? 'is-near' : ''}`}
    @pointerenter=${() => look(node.id)} @pointerleave=${() => look(null)} @focus=${() => look(node.id)} @blur=${() => look(null)}>
    <title>${titleOf(node, shown)}</title>
    ${node.kind === 'queues' ? svg`<rect x=${x + 4} y=${y + 4} width=${SIZES.width} height=${SIZES.height} rx="3"/>` : null}
    <rect x=${x} y=${y} width=${SIZES.width} height=${SIZES.height} rx=${isExchange ? SIZES.height / 2 : 3}/>
    <text x=${x + (isExchange ? 16 : 10)} y=${y + (node.about === '' ? 21 : 15)}>${text}</text>
    ${node.about === '' ? null : svg`<text class="graph-about" x=${x + (isExchange ? 16 : 10)} y=${y + 27}>${about}</text>`}
  </a>`;
}

/**
 * @param {RouteNode} node
 * @param {string} vhost
 * @returns {string} Its page; several queues are opened where they are.
 */
function leadsTo({kind, name, members}, vhost) {
  if (kind === 'queues') return `${location.pathname}${changedQuery(location.search, {open: members?.[0]})}`;
  return kind === 'exchange' ? href('/exchanges/:vhost/:name', {vhost, name: named(name)}) : href('/queues/:vhost/:name', {vhost, name});
}

/**
 * @param {RouteNode} node
 * @param {string} shown
 * @returns {string} On hover, and for who does not see it.
 */
function titleOf({kind, about, members}, shown) {
  if (members === undefined) return `${kind} ${shown}${about === '' ? '' : ` (${about})`}`;
  const more = members.length - NAMED;
  return `${shown}: ${members.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}. Show each`;
}

/**
 * @param {string} text
 * @param {number} most
 * @returns {string}
 */
function cut(text, most) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : text;
}

/** @param {Routes} routes */
function inWords({nodes, edges}) {
  const called = new Map(nodes.map((node) => [node.id, node.members !== undefined ? `${node.name} (${node.about})` : node.name === '' ? '(default exchange)' : node.name]));
  return html`<details class="in-words"><summary>The same in words</summary><ul>
    ${each(edges, ({from, to, kind}) => `${from} ${to} ${kind}`, ({from, to, kind, label, isLit}) => html`<li>
      <bdi>${called.get(from)}</bdi> ${KINDS[kind]} <bdi>${called.get(to)}</bdi>${label === '' ? '' : html` by <code><bdi>${label}</bdi></code>`}${isLit ? ', and the message takes this way' : ''}</li>`)}
  </ul></details>`;
}
