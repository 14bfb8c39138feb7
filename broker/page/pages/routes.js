/**
 * From exchanges, queues and bindings to a graph of where messages go. Knows no DOM.
 *
 * @module
 */

/**
 * `members`: the names of queues that are drawn as one.
 *
 * @typedef {{id: string, kind: 'exchange' | 'queue' | 'queues', name: string, about: string, isLit?: boolean, members?: string[]}} RouteNode
 */
/** @typedef {{from: string, to: string, kind: 'binding' | 'alternate' | 'dead', label: string, isLit?: boolean}} RouteEdge */
/** @typedef {{nodes: RouteNode[], edges: RouteEdge[]}} Routes */

/** @param {string} name */
const exchangeId = (name) => `e ${name}`;
/** @param {string} name */
const queueId = (name) => `q ${name}`;

/** Keys that are told of edges that run beside each other. */
const TOLD = 2;

/** Makes a graph of what is added, each node and each way once. */
export class Graph {
  constructor() {
    /** @type {Map<string, RouteNode>} */
    this.nodes = new Map();
    /** @type {Map<string, RouteEdge & {labels: string[]}>} */
    this.edges = new Map();
  }

  /**
   * @param {'exchange' | 'queue'} kind
   * @param {string} name
   * @param {{about?: string, isLit?: boolean}} [more]
   * @returns {string} Its id.
   */
  node(kind, name, {about = '', isLit = false} = {}) {
    const id = kind === 'exchange' ? exchangeId(name) : queueId(name);
    const before = this.nodes.get(id);
    this.nodes.set(id, {id, kind, name, about: about || (before?.about ?? ''), isLit: isLit || before?.isLit === true});
    return id;
  }

  /**
   * @param {string} from
   * @param {string} to
   * @param {RouteEdge['kind']} kind
   * @param {string} label
   * @param {boolean} [isLit]
   */
  edge(from, to, kind, label, isLit = false) {
    const key = `${from}\n${to}\n${kind}`;
    const before = this.edges.get(key) ?? {from, to, kind, label: '', labels: [], isLit: false};
    if (label !== '' && !before.labels.includes(label)) before.labels.push(label);
    before.isLit = before.isLit === true || isLit;
    this.edges.set(key, before);
  }

  /** @returns {Routes} */
  done() {
    const edges = [...this.edges.values()].map(({labels, ...edge}) => ({...edge, label: told(labels)}));
    return {nodes: [...this.nodes.values()], edges};
  }
}

/**
 * @param {string[]} labels
 * @returns {string} Some of them, and how many more there are.
 */
export function told(labels) {
  const more = labels.length - TOLD;
  return labels.slice(0, TOLD).join(', ') + (more > 0 ? ` +${more}` : '');
}

/**
 * All of a vhost: what is bound, where the rest goes, and where the dead go.
 *
 * @param {{exchanges: any[], queues: any[], bindings: any[], policies: any[]}} there
 * @returns {Routes}
 */
export function routesOf({exchanges, queues, bindings, policies}) {
  const graph = new Graph();
  const definitions = new Map(policies.map((policy) => [policy.name, policy.definition]));
  const kinds = new Map(exchanges.map((one) => [one.name, one.type]));
  const exchange = (/** @type {string} */ name) => graph.node('exchange', name, {about: kinds.get(name) ?? 'not there'});
  for (const one of bindings) {
    // Every queue is bound to the default exchange by its name: that says nothing.
    if (one.source === '') continue;
    const to = one.destination_type === 'exchange' ? exchange(one.destination) : graph.node('queue', one.destination);
    graph.edge(exchange(one.source), to, 'binding', one.routing_key);
  }
  for (const one of exchanges) {
    const alternate = one.arguments?.['alternate-exchange'] ?? definitions.get(one.policy)?.['alternate-exchange'];
    if (typeof alternate === 'string') graph.edge(exchange(one.name), exchange(alternate), 'alternate', '');
  }
  for (const one of queues) {
    const set = one.effective_policy_definition ?? {};
    const to = one.arguments?.['x-dead-letter-exchange'] ?? set['dead-letter-exchange'];
    const key = one.arguments?.['x-dead-letter-routing-key'] ?? set['dead-letter-routing-key'] ?? '';
    if (typeof to !== 'string') continue;
    const isDirect = to === '' && key !== '';
    graph.edge(graph.node('queue', one.name), isDirect ? graph.node('queue', key) : exchange(to), 'dead', isDirect ? '' : key);
  }
  return graph.done();
}

/**
 * A part of a graph: what has a text in its name, and all that leads there or comes from there.
 *
 * @param {Routes} routes
 * @param {string} text
 * @returns {Routes}
 */
export function around({nodes, edges}, text) {
  if (text === '') return {nodes, edges};
  const meant = nodes.filter(({name}) => name.toLowerCase().includes(text.toLowerCase())).map(({id}) => id);
  const kept = new Set([...walked(meant, edges, 'from', 'to'), ...walked(meant, edges, 'to', 'from')]);
  return {nodes: nodes.filter(({id}) => kept.has(id)), edges: edges.filter(({from, to}) => kept.has(from) && kept.has(to))};
}

/**
 * @param {string[]} start
 * @param {RouteEdge[]} edges
 * @param {'from' | 'to'} near
 * @param {'from' | 'to'} far
 * @returns {Set<string>}
 */
function walked(start, edges, near, far) {
  const seen = new Set(start);
  for (const id of seen) for (const edge of edges) if (edge[near] === id) seen.add(edge[far]);
  return seen;
}

/**
 * The way of one message, lit, among the bindings it did not take.
 *
 * @param {any} plan The answer of `/route`.
 * @param {any[]} others Bindings of the exchange it is published to.
 * @returns {Routes}
 */
export function way(plan, others) {
  const graph = new Graph();
  for (const hop of plan.hops) {
    const at = graph.node('exchange', hop.exchange, {about: hop.type, isLit: true});
    if (hop.via === 'alternate') graph.edge(graph.node('exchange', hop.from, {isLit: true}), at, 'alternate', '', true);
    for (const one of hop.bindings) {
      const to = graph.node(one.destination_type, one.destination, {isLit: true});
      graph.edge(at, to, 'binding', one.routing_key, true);
    }
    const bound = new Set(hop.bindings.filter((/** @type {any} */ one) => one.destination_type === 'queue').map((/** @type {any} */ one) => one.destination));
    for (const queue of hop.queues) if (!bound.has(queue)) graph.edge(at, graph.node('queue', queue, {isLit: true}), 'binding', '', true);
  }
  for (const one of others) {
    graph.edge(graph.node('exchange', one.source), graph.node(one.destination_type, one.destination), 'binding', one.routing_key);
  }
  return graph.done();
}
