/**
 * Where the nodes of a directed graph stand, and how its edges run: in layers from the left to the right. Knows
 * no DOM.
 *
 * Stays true: the same graph is laid out the same way; nodes do not overlap; an edge goes to the right unless it
 * closes a circle.
 *
 * @module
 */

/**
 * @typedef {{id: string}} GraphNode
 * @typedef {{from: string, to: string}} GraphEdge
 * @typedef {{x: number, y: number, layer: number}} Place
 * @typedef {{width: number, height: number, places: Map<string, Place>, paths: string[]}} Layout `paths` are those
 *   of the edges, in their order.
 * @typedef {{width: number, height: number, gapX: number, gapY: number}} Sizes Of nodes, and between them.
 */

/** How often the order within layers is mended. */
const SWEEPS = 6;

/**
 * @param {readonly GraphNode[]} nodes
 * @param {readonly GraphEdge[]} edges Between these nodes.
 * @param {Sizes} sizes
 * @returns {Layout}
 */
export function layout(nodes, edges, sizes) {
  const ids = nodes.map(({id}) => id);
  const known = new Set(ids);
  const own = edges.filter(({from, to}) => known.has(from) && known.has(to));
  const forward = withoutCircles(ids, own);
  const layerOf = layers(ids, forward);
  const rows = ordered(ids, forward, layerOf);
  const places = placed(rows, forward, sizes);
  const all = [...places.values()];
  const right = Math.max(0, ...all.map(({x}) => x + sizes.width));
  const bottom = Math.max(0, ...all.map(({y}) => y + sizes.height));
  const paths = edges.map(({from, to}) => path(places.get(from), places.get(to), sizes));
  return {width: right, height: bottom, places, paths};
}

/**
 * @param {readonly GraphEdge[]} edges
 * @param {'from' | 'to'} end
 * @returns {Map<string, string[]>} What is at the other end, by this one.
 */
function byEnd(edges, end) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const edge of edges) {
    const others = found.get(edge[end]) ?? [];
    others.push(end === 'from' ? edge.to : edge.from);
    found.set(edge[end], others);
  }
  return found;
}

/**
 * @param {readonly string[]} ids
 * @param {readonly GraphEdge[]} edges
 * @returns {GraphEdge[]} Without those that close a circle.
 */
function withoutCircles(ids, edges) {
  const next = byEnd(edges, 'from');
  const isTarget = new Set(edges.map(({to}) => to));
  /** @type {Map<string, 'open' | 'done'>} */
  const seen = new Map();
  const closing = new Set();
  // From where nothing leads first, so that an edge closes a circle at its end and not in its middle.
  for (const start of [...ids.filter((id) => !isTarget.has(id)), ...ids]) {
    if (seen.has(start)) continue;
    const walk = [{id: start, at: 0}];
    seen.set(start, 'open');
    for (let step = walk.at(-1); step !== undefined; step = walk.at(-1)) {
      const to = next.get(step.id)?.[step.at];
      step.at += 1;
      if (to === undefined) {
        seen.set(step.id, 'done');
        walk.pop();
      } else if (seen.get(to) === 'open') {
        closing.add(`${step.id}\n${to}`);
      } else if (!seen.has(to)) {
        seen.set(to, 'open');
        walk.push({id: to, at: 0});
      }
    }
  }
  return edges.filter(({from, to}) => !closing.has(`${from}\n${to}`));
}

/**
 * @param {readonly string[]} ids
 * @param {readonly GraphEdge[]} edges Without circles.
 * @returns {Map<string, number>} Each behind all that lead to it.
 */
function layers(ids, edges) {
  const next = byEnd(edges, 'from');
  const waits = new Map(ids.map((id) => [id, 0]));
  for (const {to} of edges) waits.set(to, (waits.get(to) ?? 0) + 1);
  const layer = new Map(ids.map((id) => [id, 0]));
  const ready = ids.filter((id) => waits.get(id) === 0);
  for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
    for (const to of next.get(id) ?? []) {
      layer.set(to, Math.max(layer.get(to) ?? 0, (layer.get(id) ?? 0) + 1));
      const left = (waits.get(to) ?? 0) - 1;
      waits.set(to, left);
      if (left === 0) ready.push(to);
    }
  }
  return layer;
}

/**
 * @param {readonly string[]} ids
 * @param {readonly GraphEdge[]} edges
 * @param {Map<string, number>} layerOf
 * @returns {string[][]} The nodes of each layer, so that few edges cross.
 */
function ordered(ids, edges, layerOf) {
  /** @type {string[][]} */
  const rows = Array.from({length: Math.max(0, ...layerOf.values()) + 1}, () => []);
  for (const id of ids) rows[layerOf.get(id) ?? 0].push(id);
  const before = byEnd(edges, 'to');
  const behind = byEnd(edges, 'from');
  const at = new Map(rows.flatMap((row) => row.map((id, n) => [id, n])));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isDown = sweep % 2 === 0;
    for (const row of isDown ? rows : [...rows].reverse()) {
      const others = isDown ? before : behind;
      const middle = new Map(row.map((id, n) => [id, mean((others.get(id) ?? []).map((other) => at.get(other) ?? 0)) ?? n]));
      row.sort((one, other) => (middle.get(one) ?? 0) - (middle.get(other) ?? 0));
      row.forEach((id, n) => at.set(id, n));
    }
  }
  return rows;
}

/**
 * @param {number[]} numbers
 * @returns {number | undefined}
 */
function mean(numbers) {
  return numbers.length === 0 ? undefined : numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
}

/**
 * @param {string[][]} rows
 * @param {readonly GraphEdge[]} edges
 * @param {Sizes} sizes
 * @returns {Map<string, Place>} The longest layer stands close together; the others where their edges are short.
 */
function placed(rows, edges, {width, height, gapX, gapY}) {
  /** @type {Map<string, Place>} */
  const places = new Map();
  const step = height + gapY;
  const longest = rows.reduce((most, row, n) => (row.length > rows[most].length ? n : most), 0);
  const neighbours = [byEnd(edges, 'to'), byEnd(edges, 'from')];
  const put = (/** @type {number} */ layer, /** @type {Map<string, string[]>[]} */ by) => {
    const row = rows[layer];
    const wanted = row.map((id, n) => {
      const near = by.flatMap((one) => one.get(id) ?? []).flatMap((other) => places.get(other)?.y ?? []);
      return mean(near) ?? n * step;
    });
    spread(wanted, step).forEach((y, n) => places.set(row[n], {x: layer * (width + gapX), y, layer}));
  };
  if (rows[longest] !== undefined) put(longest, []);
  for (let layer = longest - 1; layer >= 0; layer -= 1) put(layer, [neighbours[1]]);
  for (let layer = longest + 1; layer < rows.length; layer += 1) put(layer, [neighbours[0]]);
  const top = Math.min(...[...places.values()].map(({y}) => y));
  for (const place of places.values()) place.y -= top;
  return places;
}

/**
 * @param {number[]} wanted Where each would like to be.
 * @param {number} step At least so far from the one before.
 * @returns {number[]} In the same order, and as near as that goes.
 */
export function spread(wanted, step) {
  /** @type {{sum: number, count: number}[]} */
  const blocks = [];
  wanted.forEach((y, n) => {
    blocks.push({sum: y - n * step, count: 1});
    for (let last = blocks.length - 1; last > 0; last -= 1) {
      const [one, other] = [blocks[last - 1], blocks[last]];
      if (one.sum / one.count <= other.sum / other.count) break;
      blocks.splice(last - 1, 2, {sum: one.sum + other.sum, count: one.count + other.count});
    }
  });
  return blocks.flatMap(({sum, count}) => Array.from({length: count}, () => sum / count)).map((y, n) => y + n * step);
}

/**
 * @param {Place | undefined} from
 * @param {Place | undefined} to
 * @param {Sizes} sizes
 * @returns {string} A curve; one that goes back runs around below.
 */
function path(from, to, {width, height, gapX, gapY}) {
  if (from === undefined || to === undefined) return '';
  const [x1, y1, x2, y2] = [from.x + width, from.y + height / 2, to.x, to.y + height / 2];
  if (to.layer > from.layer) {
    // Flat at its end, where its key is written.
    const [out, into] = [0.2, 0.75].map((part) => part * Math.min(gapX, x2 - x1));
    return `M${x1} ${y1}C${x1 + out} ${y1} ${x2 - into} ${y2} ${x2} ${y2}`;
  }
  const low = Math.max(y1, y2) + (height + gapY) / 2;
  const side = gapX * 0.3;
  return `M${x1} ${y1}C${x1 + side} ${y1} ${x1 + side} ${low} ${x1} ${low}L${x2} ${low}C${x2 - side} ${low} ${x2 - side} ${y2} ${x2} ${y2}`;
}
