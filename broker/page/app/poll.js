/**
 * Asks again and again: the one clock of everything that is live on the page.
 *
 * Stays true: nothing is asked while the tab is hidden or the interval is off; a question that was answered
 * late does not overtake a newer one; while the broker does not answer, what was shown stays, and the first
 * answer is caught up with at once.
 *
 * @module
 */

import {remember, remembered} from './theme.js';
import {ApiError, get} from './api.js';

/** Seconds between two questions; 0 is off. */
export const INTERVALS = [1, 2, 5, 10, 30, 0];

const KEY = 'leveret.interval';
const DEFAULT = 5;
/** Waits after failures, in seconds; the last for all later ones. */
const AGAIN = [1, 2, 4, 8];

/**
 * Null is not asked, and forgotten; undefined is not asked this time, and what was answered last stays. What
 * costs the broker more is asked `every` so many seconds alone.
 *
 * @typedef {Record<string, string | {path: string, every: number} | null | undefined>} Questions
 */

/** See the module documentation. */
export class Poll {
  /**
   * @param {() => Questions} ask What is asked each time: paths under `/api/` by the names of their answers.
   * @param {() => void} changed Called after each round.
   */
  constructor(ask, changed) {
    this.ask = ask;
    this.changed = changed;
    /** @type {Record<string, any>} What was answered last. */
    this.data = {};
    /** @type {Record<string, ApiError | undefined>} */
    this.errors = {};
    /** @type {Record<string, {path: string, at: number}>} What is asked seldom, and when it was answered. */
    this.seldom = {};
    this.interval = interval();
    /** @type {number | null} Since when the broker does not answer. */
    this.lostSince = null;
    /** @type {number | null} When it answered last. */
    this.answeredAt = null;
    this.failures = 0;
    this.timer = 0;
    /** @type {AbortController | null} */
    this.running = null;
  }

  start() {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.now();
    });
    addEventListener('online', () => this.now());
  }

  /** Another page is shown: what was answered to the last one goes. */
  reset() {
    this.data = {};
    this.errors = {};
    this.seldom = {};
    this.now();
  }

  /**
   * Asks at once.
   *
   * @returns {Promise<void>}
   */
  async now() {
    clearTimeout(this.timer);
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    const questions = Object.entries(this.ask());
    const asked = questions.flatMap(([name, question]) => {
      const {path, every} = typeof question === 'string' ? {path: question, every: 0} : (question ?? {path: '', every: 0});
      return path === '' || !this.isDue(name, path, every) ? [] : [{name, path, every}];
    });
    await Promise.all(asked.map((one) => this.one(one, running.signal)));
    if (this.running !== running) return;
    this.running = null;
    this.forget(new Set(questions.filter(([, question]) => question !== null).map(([name]) => name)));
    this.note(asked.map(({name}) => name));
    this.changed();
    this.next();
  }

  /** Asks nothing until `now`, and what is on its way is not wanted: what is shown may go. */
  hold() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.running = null;
  }

  /**
   * @param {string} name
   * @param {string} path
   * @param {number} every
   * @returns {boolean} Whether it is time to ask it again; a round comes a little early now and then.
   */
  isDue(name, path, every) {
    const last = this.seldom[name];
    if (every === 0 || last === undefined || last.path !== path) return true;
    return Date.now() - last.at >= 1000 * (every - this.interval / 2);
  }

  /**
   * @param {{name: string, path: string, every: number}} question
   * @param {AbortSignal} signal
   */
  async one({name, path, every}, signal) {
    try {
      const answer = await get(path, signal, this.interval === 0 ? 0 : Math.max(this.interval, every));
      if (signal.aborted) return;
      this.data[name] = answer;
      if (every > 0) this.seldom[name] = {path, at: Date.now()};
      delete this.errors[name];
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.errors[name] = error;
      // What is gone is not shown as if it were there; what cannot be asked for stays.
      if (error.kind === 'gone') delete this.data[name];
    }
  }

  /**
   * What is not asked any more does not stay: an open page takes no more memory in a week than in an hour.
   *
   * @param {Set<string>} wanted
   */
  forget(wanted) {
    for (const kept of [this.data, this.errors]) {
      for (const name of Object.keys(kept)) if (!wanted.has(name)) delete kept[name];
    }
  }

  /** @param {string[]} names */
  note(names) {
    const isLost = names.some((name) => this.errors[name]?.kind === 'lost');
    if (isLost) {
      this.failures += 1;
      // All of it is caught up with at once.
      this.seldom = {};
      this.lostSince ??= Date.now();
    } else {
      this.failures = 0;
      this.lostSince = null;
      this.answeredAt = Date.now();
    }
  }

  next() {
    clearTimeout(this.timer);
    const again = AGAIN[Math.min(this.failures, AGAIN.length) - 1];
    const seconds = this.failures > 0 ? again : this.interval;
    if (seconds === 0) return;
    this.timer = window.setTimeout(() => {
      if (!document.hidden) this.now();
    }, seconds * 1000);
  }

  /** @param {number} seconds */
  setInterval(seconds) {
    this.interval = seconds;
    remember(KEY, String(seconds));
    if (seconds === 0) clearTimeout(this.timer);
    else this.now();
    this.changed();
  }
}

/** @returns {number} */
function interval() {
  const kept = remembered(KEY);
  const seconds = kept === null ? DEFAULT : Number(kept);
  return INTERVALS.includes(seconds) ? seconds : DEFAULT;
}
