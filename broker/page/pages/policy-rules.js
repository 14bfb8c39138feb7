/**
 * Which policy counts where several match, as the broker decides it, and so what a policy would do that is not
 * there yet, and which of those that are there collide. Knows no DOM.
 *
 * Of all that match, the one with the highest priority counts, whole; of equal priorities the one whose name comes
 * first, octet by octet. One setting that a type of queue cannot have keeps a policy from queues of that type. Both
 * are the rules of `policy/matching.rs` and `policy/keys.rs`, and have to stay so.
 *
 * @module
 */

import {keyOf} from '../app/named.js';
import {finds} from '../app/permission-rules.js';

/** @typedef {{name: string, vhost: string, pattern: string, 'apply-to': string, priority: number, definition: Record<string, unknown>}} Policy */

/**
 * What a pattern was found in. `policy`: the name of the one that counts now; null for none, undefined if that is not told.
 *
 * @typedef {{kind: 'queues' | 'exchanges', name: string, type?: string, policy?: string | null}} Thing
 */

/** Which kinds of things, and which types of queues, each word of `apply-to` stands for. */
const OF = /** @type {Record<string, {kinds: Thing['kind'][], type?: string}>} */ ({
  all: {kinds: ['queues', 'exchanges']},
  queues: {kinds: ['queues']},
  classic_queues: {kinds: ['queues'], type: 'classic'},
  quorum_queues: {kinds: ['queues'], type: 'quorum'},
  streams: {kinds: ['queues'], type: 'stream'},
  exchanges: {kinds: ['exchanges']},
});

/** Settings that keep a policy from queues of a type. */
const NOT_ON = /** @type {Record<string, Set<string>>} */ ({
  classic: new Set(['initial-cluster-size', 'max-age', 'max-in-memory-bytes', 'max-in-memory-length', 'stream-max-segment-size-bytes', 'target-group-size']),
  quorum: new Set(['initial-cluster-size', 'max-age', 'queue-mode', 'stream-max-segment-size-bytes']),
  stream: new Set([
    'dead-letter-exchange', 'dead-letter-routing-key', 'dead-letter-strategy', 'delivery-limit', 'expires', 'max-in-memory-bytes',
    'max-in-memory-length', 'max-length', 'message-ttl', 'overflow', 'queue-mode', 'target-group-size',
  ]),
});

/**
 * @param {string} of What stands in `apply-to`.
 * @returns {Thing['kind'][]}
 */
export function kindsOf(of) {
  return OF[of]?.kinds ?? [];
}

/**
 * @param {string} of
 * @returns {string | undefined} The type of the queues that it is for, if it is for one type alone.
 */
export function typeOf(of) {
  return OF[of]?.type;
}

/**
 * Whether a policy is for such a thing, whatever its name.
 *
 * @param {{'apply-to': string, definition: Record<string, unknown>}} policy
 * @param {Thing} thing
 * @returns {boolean}
 */
export function isFor({'apply-to': of, definition}, {kind, name, type = 'classic'}) {
  if (!kindsOf(of).includes(kind)) return false;
  // Nothing governs the default exchange.
  if (kind === 'exchanges') return name !== '';
  const wanted = typeOf(of);
  return (wanted === undefined || wanted === type) && !Object.keys(definition).some((key) => NOT_ON[type]?.has(key));
}

/**
 * @param {string} one
 * @param {string} other
 * @returns {number} Below 0 if the first comes first, octet by octet of UTF-8.
 */
function byOctets(one, other) {
  const [own, others] = [[...one], [...other]];
  const at = own.findIndex((letter, n) => letter !== others[n]);
  if (at === -1) return own.length - others.length;
  return (own[at].codePointAt(0) ?? 0) - (others[at]?.codePointAt(0) ?? -1);
}

/**
 * @param {{name: string, priority: number}} one
 * @param {{name: string, priority: number}} other
 * @returns {number} Below 0 if the first counts where both match.
 */
export function precedence(one, other) {
  return other.priority - one.priority || byOctets(one.name, other.name);
}

/**
 * The policy that counts for a thing without the one that is made or changed.
 *
 * @param {Thing} thing
 * @param {string} own The name of that one.
 * @param {Policy[]} others All others of its vhost and kind, those first that count first.
 * @returns {Policy | null}
 */
function rivalOf(thing, own, others) {
  const told = thing.policy === undefined || thing.policy === own ? undefined : thing.policy;
  if (told === null) return null;
  const named = others.find(({name}) => name === told);
  return named ?? others.find((policy) => isFor(policy, thing) && finds(policy.pattern, thing.name) === true) ?? null;
}

/**
 * What a policy that is not there yet would do to one other: take its place, have no effect, or collide, and then count or not.
 *
 * @typedef {'replaces' | 'yields' | 'wins' | 'loses'} Outcome
 * @typedef {{outcome: Outcome, rival: string, priority: number, count: number, example: string}} Effect
 */

/** The order in which they are told: what somebody did not mean comes first. */
const TOLD = /** @type {Outcome[]} */ (['loses', 'wins', 'yields', 'replaces']);

/**
 * @param {Policy} draft
 * @param {Thing[]} things What its pattern is found in.
 * @param {Policy[]} policies All of its kind that there are.
 * @returns {{matched: Thing[], free: number, effects: Effect[]}} `free`: for so many nothing else counts.
 */
export function effectsOf(draft, things, policies) {
  const others = policies.filter(({name, vhost}) => vhost === draft.vhost && name !== draft.name).sort(precedence);
  const matched = things.filter((thing) => isFor(draft, thing));
  /** @type {Map<string, Effect>} */
  const found = new Map();
  let free = 0;
  for (const thing of matched) {
    const rival = rivalOf(thing, draft.name, others);
    if (rival === null) {
      free += 1;
      continue;
    }
    const before = found.get(rival.name);
    if (before !== undefined) before.count += 1;
    else found.set(rival.name, {outcome: against(draft, rival), rival: rival.name, priority: rival.priority, count: 1, example: thing.name});
  }
  const effects = [...found.values()].sort((one, other) => TOLD.indexOf(one.outcome) - TOLD.indexOf(other.outcome) || other.count - one.count);
  return {matched, free, effects};
}

/**
 * @param {Policy} draft
 * @param {Policy} rival
 * @returns {Outcome}
 */
function against(draft, rival) {
  if (draft.priority !== rival.priority) return draft.priority > rival.priority ? 'replaces' : 'yields';
  return precedence(draft, rival) < 0 ? 'wins' : 'loses';
}

/**
 * What an effect is, in words: the first before the name of the other policy, the second behind it, where and how often.
 *
 * @param {Effect} effect
 * @param {{name: string}} draft
 * @returns {{word: string, tone: 'bad' | 'warn' | 'note', why: string}}
 */
export function told({outcome, rival, priority}, draft) {
  const same = `both have the priority ${priority}; then the name that comes first counts`;
  switch (outcome) {
    case 'replaces':
      return {word: 'Takes the place of', tone: 'note', why: `its priority is lower, ${priority}`};
    case 'yields':
      return {word: 'Has no effect beside', tone: 'warn', why: `its priority is higher, ${priority}`};
    case 'wins':
      return {word: 'Collides with', tone: 'bad', why: draft.name === '' ? same : `${same}, which is ${draft.name}`};
    case 'loses':
      return {word: 'Collides with', tone: 'bad', why: `${same}, which is ${rival}`};
  }
}

/**
 * Policies that may collide: another of the same vhost and priority is for the same kind of things.
 *
 * @param {Policy[]} policies Of one kind.
 * @returns {Policy[]}
 */
export function suspects(policies) {
  const isRival = (/** @type {Policy} */ one, /** @type {Policy} */ other) =>
    one !== other && one.vhost === other.vhost && one.priority === other.priority && areForTheSame(one['apply-to'], other['apply-to']);
  return policies.filter((one) => policies.some((other) => isRival(one, other)));
}

/**
 * @param {string} one
 * @param {string} other
 * @returns {boolean}
 */
function areForTheSame(one, other) {
  const [type, otherType] = [typeOf(one), typeOf(other)];
  const isSameType = type === undefined || otherType === undefined || type === otherType;
  return isSameType && kindsOf(one).some((kind) => kindsOf(other).includes(kind));
}

/**
 * A policy and another of the same priority that match the same: only the name says which of them counts.
 *
 * @typedef {{with: string, example: string, count: number, isCounting: boolean}} Collision
 */

/**
 * @param {{policy: Policy, things: Thing[]}[]} looked What the pattern of each suspect was found in.
 * @param {Policy[]} policies All of their kind.
 * @returns {Map<string, Collision[]>} By `keyOf`: of each pair both have one. What a third of a higher priority decides is none.
 */
export function collisions(looked, policies) {
  /** @type {Map<string, Collision[]>} */
  const found = new Map();
  const add = (/** @type {{vhost: string, name: string}} */ of, /** @type {Collision} */ one) => found.set(keyOf(of), [...(found.get(keyOf(of)) ?? []), one]);
  for (const {policy, things} of looked) {
    for (const {outcome, rival, example, count} of effectsOf(policy, things, policies).effects) {
      if (outcome !== 'loses') continue;
      add(policy, {with: rival, example, count, isCounting: false});
      add({vhost: policy.vhost, name: rival}, {with: policy.name, example, count, isCounting: true});
    }
  }
  return found;
}
