/**
 * How many messages died lately: told from counts that only rise. Knows no DOM.
 *
 * @module
 */

/** @typedef {Record<string, number>} Counts By what they died of. */
/** @typedef {{dead_lettered: Counts, dropped: Counts}} Told As `/api/overview` has it. */
/** @typedef {{overMs: number, deadLettered: Counts, dropped: Counts}} Deaths */

/** What is longer ago is not told. */
const LATELY_MS = 60_000;

/** Keeps what was told in the last minute. */
export class Dying {
  constructor() {
    /** @type {{at: number, told: Told}[]} */
    this.past = [];
  }

  /**
   * @param {Told | undefined} told
   * @param {number} now
   * @returns {Deaths | null} Null until there is something to compare with.
   */
  since(told, now) {
    if (told === undefined) return null;
    const last = this.past.at(-1);
    // A broker that was started again counts from nothing.
    if (last !== undefined && sum(told) < sum(last.told)) this.past = [];
    if (this.past.at(-1)?.told !== told) this.past.push({at: now, told});
    // One that is older than that stays, so that a minute is told of and not less.
    while (this.past.length > 2 && now - this.past[1].at >= LATELY_MS) this.past.shift();
    const [first] = this.past;
    if (first.told === told) return null;
    return {
      overMs: now - first.at,
      deadLettered: rise(first.told.dead_lettered, told.dead_lettered),
      dropped: rise(first.told.dropped, told.dropped),
    };
  }
}

/**
 * @param {Told} told
 * @returns {number}
 */
function sum({dead_lettered: deadLettered, dropped}) {
  return [...Object.values(deadLettered), ...Object.values(dropped)].reduce((all, one) => all + one, 0);
}

/**
 * @param {Counts} before
 * @param {Counts} now
 * @returns {Counts}
 */
function rise(before, now) {
  return Object.fromEntries(Object.entries(now).map(([cause, count]) => [cause, count - (before[cause] ?? 0)]));
}
