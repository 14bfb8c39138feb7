/**
 * What happened that explains a line of a chart: seen in what pages ask for anyway, or done on the page itself.
 *
 * Called by `history` for every page that has charts, and by what is done to a queue. The broker keeps no list of
 * it: marks are of what was seen since somebody signed in, but for the broker's start, which it tells afterwards.
 * Stays true: two answers that lie far apart are not compared, since nobody knows when between them something
 * changed; so many are kept, and they go with the session. Knows no DOM.
 *
 * @module
 */

import {keyOf} from './named.js';
import {count} from './number.js';
import {clock} from './time.js';

/** @typedef {import('./types.js').Context} Context */
/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('../parts/chart.js').Mark} Mark `text` begins with the time. */

/** So many are kept, of everything together, and so many things are known as they were last. */
const MOST = 200;
/** Answers that lie so far apart say nothing of when. */
const APART_MS = 90_000;
/** The broker's start is known to so much. */
const START_MS = 10_000;
/** Marks that are nearer to each other are one, in pixels. */
const NEAR = 14;
/** So many are told of one. */
const TOLD = 5;

/** @type {WeakMap<Session, Marks>} */
const all = new WeakMap();

/**
 * @param {Context} ctx
 * @returns {Marks} What whoever is signed in has seen.
 */
export function marksOf({session}) {
  const found = all.get(session) ?? new Marks();
  all.set(session, found);
  return found;
}

/** See the module documentation. */
export class Marks {
  constructor() {
    /** @type {(Mark & {of: string})[]} */
    this.kept = [];
    /** @type {Map<string, {answer: any, at: number}>} By what it is of. */
    this.last = new Map();
    this.started = 0;
  }

  /**
   * Takes what was answered since it looked last.
   *
   * @param {Record<string, any>} data Of a page.
   * @param {number} now
   */
  look({nodes, queue}, now) {
    const node = nodes?.[0];
    if (typeof node?.uptime === 'number') this.isUp(now - node.uptime);
    if (node !== undefined) this.compare('', node, alarms, now);
    if (queue?.vhost !== undefined) this.compare(keyOf(queue), queue, changes, now);
  }

  /**
   * @param {string} of
   * @param {any} answer
   * @param {(before: any, now: any) => string[]} told
   * @param {number} now
   */
  compare(of, answer, told, now) {
    const before = this.last.get(of);
    if (before?.answer === answer) return;
    this.last.delete(of);
    this.last.set(of, {answer, at: now});
    if (this.last.size > MOST) this.last.delete([...this.last.keys()][0]);
    if (before === undefined || now - before.at > APART_MS) return;
    for (const text of told(before.answer, answer)) this.note(of, text, now);
  }

  /** @param {number} at The broker's start, as far as it can be told from when an answer came. */
  isUp(at) {
    if (Math.abs(at - this.started) < START_MS) return;
    this.started = at;
    this.note('', 'The broker started', at);
  }

  /**
   * @param {string} of Empty for the whole broker.
   * @param {string} text
   * @param {number} [at]
   */
  note(of, text, at = Date.now()) {
    this.kept = [...this.kept, {of, at, text: `${clock(at)} ${text}`}].slice(-MOST);
  }

  /**
   * @param {Record<string, any>} data Of a page.
   * @returns {Mark[]} Of the broker, and of what the page is of.
   */
  of({queue}) {
    const own = queue?.vhost === undefined ? '' : keyOf(queue);
    return this.kept.filter(({of}) => of === '' || of === own);
  }
}

/**
 * @param {any} before
 * @param {any} now Of a node.
 * @returns {string[]}
 */
export function alarms(before, now) {
  const names = /** @type {const} */ ([['mem_alarm', 'Memory'], ['disk_free_alarm', 'Disk']]);
  return names.filter(([key]) => typeof before[key] === 'boolean' && typeof now[key] === 'boolean' && before[key] !== now[key])
    .map(([key, word]) => (now[key] ? `${word} alarm: publishers wait` : `${word} alarm is over`));
}

/**
 * @param {any} before
 * @param {any} now Of a queue.
 * @returns {string[]}
 */
export function changes(before, now) {
  const differs = (/** @type {string} */ key) => JSON.stringify(before[key] ?? null) !== JSON.stringify(now[key] ?? null);
  const told = ['consumers', 'publishers'].flatMap((who) => paused(who, before.paused?.[who], now.paused?.[who]));
  for (const [key, word] of [['policy', 'Policy'], ['operator_policy', 'Operator policy']]) {
    if (!differs(key)) continue;
    told.push(now[key] ? `${word} ${now[key]} counts` : `${word} ${before[key]} counts no more`);
  }
  if (differs('effective_policy_definition') && !differs('policy') && !differs('operator_policy')) told.push('Its policy was changed');
  if (differs('arguments')) told.push('Its arguments were changed');
  if (typeof before.consumers === 'number' && before.consumers !== now.consumers) {
    told.push(`${count(now.consumers)} ${now.consumers === 1 ? 'consumer' : 'consumers'}, before ${count(before.consumers)}`);
  }
  return told;
}

/**
 * @param {string} who
 * @param {unknown} before Why they were paused: no text if they were not.
 * @param {unknown} now
 * @returns {string[]}
 */
function paused(who, before, now) {
  if ((typeof before === 'string') === (typeof now === 'string')) return [];
  const because = now ? `: ${now}` : '';
  return [typeof now === 'string' ? `Its ${who} are paused${because}` : `Its ${who} go on`];
}

/**
 * @param {readonly Mark[]} marks
 * @param {number} from
 * @param {number} to
 * @param {number} width In pixels.
 * @returns {Mark[]} What is between these times, in their order: those that lie close together are one.
 */
export function folded(marks, from, to, width) {
  const near = (NEAR * (to - from)) / Math.max(1, width);
  /** @type {{at: number, texts: string[]}[]} */
  const folds = [];
  for (const {at, text} of marks.filter(({at}) => at >= from && at <= to).sort((one, other) => one.at - other.at)) {
    const last = folds.at(-1);
    if (last !== undefined && at - last.at < near) last.texts.push(text);
    else folds.push({at, texts: [text]});
  }
  return folds.map(({at, texts}) => {
    const more = texts.length > TOLD ? [`and ${count(texts.length - TOLD)} more`] : [];
    return {at, text: [...texts.slice(0, TOLD), ...more].join('\n')};
  });
}
