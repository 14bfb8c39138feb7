/**
 * A large graph made small: queues that are fed by the same exchanges, and send their dead letters to the same place, are
 * one node, until somebody opens it. Knows no DOM.
 *
 * Stays true: what is lit and what is not are never one; every edge is still there, told by one that stands for it.
 *
 * @module
 */

import {told} from './routes.js';

/** @typedef {import('./routes.js').Routes} Routes */
/** @typedef {import('./routes.js').RouteNode} RouteNode */
/** @typedef {import('./routes.js').RouteEdge} RouteEdge */

/** Fewer nodes than these can be read as they are. */
export const FOLDED_FROM = 60;
/** So many queues are worth a node of their own. */
const ALIKE = 3;
/** What their names begin with is told if it is as long as this. */
const PREFIX = 3;

/**
 * @param {Routes} routes
 * @param {string} open The first queue of those that are shown one by one.
 * @returns {Routes}
 */
export function folded(routes, open) {
  if (routes.nodes.length <= FOLDED_FROM) return routes;
  /** @type {Map<string, RouteNode>} By the ids of queues: what they are part of. */
  const within = new Map();
  for (const members of alike(routes)) {
    const [first] = members;
    if (members.length < ALIKE || first.name === open) continue;
    const node = groupOf(members);
    for (const {id} of members) within.set(id, node);
  }
  const nodes = new Set(routes.nodes.map((node) => within.get(node.id) ?? node));
  return {nodes: [...nodes], edges: joined(routes.edges, (id) => within.get(id)?.id ?? id)};
}

/**
 * @param {Routes} routes
 * @returns {RouteNode[][]} Queues by what leads to them and from them, each in the order of the names.
 */
function alike({nodes, edges}) {
  /** @type {Map<string, string[]>} */
  const ends = new Map(nodes.map(({id}) => [id, []]));
  for (const {from, to, kind, isLit} of edges) {
    ends.get(from)?.push(`to ${to} ${kind} ${isLit === true}`);
    ends.get(to)?.push(`from ${from} ${kind} ${isLit === true}`);
  }
  /** @type {Map<string, RouteNode[]>} */
  const found = new Map();
  for (const node of nodes) {
    const own = ends.get(node.id) ?? [];
    if (node.kind !== 'queue' || own.length === 0) continue;
    const mark = `${node.isLit === true}\n${own.sort().join('\n')}`;
    found.set(mark, [...(found.get(mark) ?? []), node]);
  }
  return [...found.values()].map((members) => members.sort((one, other) => (one.name < other.name ? -1 : 1)));
}

/**
 * @param {RouteNode[]} members
 * @returns {RouteNode}
 */
function groupOf(members) {
  const names = members.map(({name}) => name);
  const prefix = common(names[0], names[names.length - 1]);
  const about = [...prefix].length >= PREFIX ? `${prefix}…` : names.join(', ');
  return {id: `g ${names[0]}`, kind: 'queues', name: `${names.length} queues`, about, members: names, isLit: members[0].isLit};
}

/**
 * @param {string} one The first of names in their order.
 * @param {string} other The last.
 * @returns {string} What all of them begin with.
 */
function common(one, other) {
  const [letters, others] = [[...one], [...other]];
  const end = letters.findIndex((letter, n) => letter !== others[n]);
  return end === -1 ? one : letters.slice(0, end).join('');
}

/**
 * @param {RouteEdge[]} edges
 * @param {(id: string) => string} end
 * @returns {RouteEdge[]} Each once, with the keys of all that it stands for.
 */
function joined(edges, end) {
  /** @type {Map<string, {edge: RouteEdge, labels: Set<string>}>} */
  const found = new Map();
  for (const edge of edges) {
    const [from, to] = [end(edge.from), end(edge.to)];
    const key = `${from}\n${to}\n${edge.kind}`;
    const before = found.get(key) ?? {edge: {...edge, from, to}, labels: new Set()};
    if (edge.label !== '') before.labels.add(edge.label);
    found.set(key, before);
  }
  return [...found.values()].map(({edge, labels}) => ({...edge, label: told([...labels])}));
}
