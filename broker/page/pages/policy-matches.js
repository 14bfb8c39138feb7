/**
 * What the pattern of a policy is found in, asked of the broker, whose word counts; and from that, what collides.
 *
 * Stays true: what is asked ends, after so many pages of a list and so many of all.
 *
 * @module
 */

import {api} from '../app/place.js';
import {collisions, kindsOf, suspects} from './policy-rules.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {import('./policy-rules.js').Policy} Policy */
/** @typedef {import('./policy-rules.js').Thing} Thing */
/** @typedef {import('./policy-rules.js').Collision} Collision */
/** @typedef {'policies' | 'operator-policies'} Kind */
/** @typedef {{kind: Thing['kind'], total: number, things: Thing[]}} Found `total` is more than there are things where not all were asked for. */

const SIZE = 500;
/** Of a list no more are asked for. */
export const LOOKED_MAX = 10_000;
/** Pages, where all policies are looked at. */
const PAGES_MAX = 100;
/** Names change meanwhile. */
const AGAIN_MS = 60_000;

/**
 * @param {Context} ctx
 * @param {Kind} kind
 * @param {{vhost: string, pattern: string}} of
 * @param {Thing['kind']} list
 * @param {number} page
 * @returns {Promise<Found>} A page of it. Throws an `ApiError`.
 */
async function pageOf(ctx, kind, {vhost, pattern}, list, page) {
  // Lists are searched without regard to case, and policies are not.
  const query = {name: `(?-i)${pattern}`, use_regex: true, page, page_size: SIZE, sort: 'name', columns: 'name,type,policy,operator_policy', disable_stats: true};
  const answer = await ctx.fetch(api(`${list}/:vhost`, {vhost}, query));
  const column = kind === 'policies' ? 'policy' : 'operator_policy';
  // Of exchanges it is not told which operator policy counts.
  const isTold = kind === 'policies' || list === 'queues';
  const things = answer.items.map((/** @type {any} */ one) => ({kind: list, name: one.name, type: one.type, policy: isTold ? (one[column] ?? null) : undefined}));
  return {kind: list, total: answer.filtered_count, things};
}

/**
 * @param {Context} ctx
 * @param {Kind} kind
 * @param {{vhost: string, pattern: string, of: string}} asked
 * @param {() => boolean} goesOn Asked before each page.
 * @param {(found: Found[]) => void} [each] Told after each page.
 * @returns {Promise<Found[]>} By kinds of things. Throws an `ApiError`.
 */
export async function matches(ctx, kind, asked, goesOn, each) {
  /** @type {Found[]} */
  const all = [];
  for (const list of kindsOf(asked.of)) {
    /** @type {Found} */
    const found = {kind: list, total: 0, things: []};
    all.push(found);
    for (let page = 1; page === 1 || (page - 1) * SIZE < Math.min(found.total, LOOKED_MAX); page += 1) {
      if (!goesOn()) return all;
      const {total, things} = await pageOf(ctx, kind, asked, list, page);
      found.total = total;
      found.things.push(...things);
      each?.(all);
    }
  }
  return all;
}

/** @typedef {{mark: string, at: number, found: Map<string, Collision[]>, isWhole: boolean}} Looked */

/**
 * Which policies collide: looked for when they are others than before, and from time to time.
 *
 * @param {Context} ctx
 * @param {Kind} kind
 * @param {Policy[]} policies
 * @returns {Looked | undefined} What was found last.
 */
export function colliding(ctx, kind, policies) {
  const key = `colliding ${kind}`;
  const mark = JSON.stringify(policies);
  const asked = ctx.state[`${key} asked`];
  if (asked?.mark !== mark || ctx.now - asked.at > AGAIN_MS) {
    ctx.state[`${key} asked`] = {mark, at: ctx.now};
    void lookFor(ctx, kind, policies).then(
      (looked) => {
        if (ctx.state[`${key} asked`]?.mark !== mark) return;
        ctx.state[key] = {mark, at: Date.now(), ...looked};
        ctx.draw();
      },
      // Who cannot be told keeps what was told before.
      () => {},
    );
  }
  return ctx.state[key];
}

/**
 * @param {Context} ctx
 * @param {Kind} kind
 * @param {Policy[]} policies
 */
async function lookFor(ctx, kind, policies) {
  let left = PAGES_MAX;
  const looked = [];
  for (const policy of suspects(policies)) {
    const found = await matches(ctx, kind, {vhost: policy.vhost, pattern: policy.pattern, of: policy['apply-to']}, () => ctx.state.isOver !== true && (left -= 1) >= 0);
    looked.push({policy, things: found.flatMap(({things}) => things), isWhole: found.every(({total, things}) => things.length >= total)});
  }
  return {found: collisions(looked, policies), isWhole: left >= 0 && looked.every(({isWhole}) => isWhole)};
}
