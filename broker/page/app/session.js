/**
 * Who is signed in, and what of this page it may use.
 *
 * @module
 */

import {remember, remembered} from './theme.js';
import {get, request} from './api.js';
import {is, may} from './rights.js';

/** @typedef {import('./rights.js').Role} Role */

const READ_ONLY = 'leveret.read-only';

/** See the module documentation. */
export class Session {
  /** @param {{name: string, tags: string[], is_internal_user: boolean}} user */
  constructor(user) {
    this.name = user.name;
    this.tags = user.tags;
    this.isInternal = user.is_internal_user;
    /** Chosen here: no button that changes something is shown. */
    this.isReadOnly = remembered(READ_ONLY) === '1';
    /** @type {Map<string, import('./rights.js').Told>} By vhost that it may enter. */
    this.rights = new Map();
  }

  /**
   * @param {Role} role An administrator has all of them; who has any may use the page.
   * @returns {boolean}
   */
  is(role) {
    return is(this, role);
  }

  /**
   * Whether something is offered: nothing that the broker would refuse.
   *
   * @param {string} act
   * @param {import('./rights.js').Thing} [thing]
   * @returns {boolean}
   */
  may(act, thing) {
    return may(this, act, thing);
  }

  /**
   * Asks what it may do in which vhost. Who cannot be told (the broker does not answer) keeps what it had.
   *
   * @returns {Promise<void>}
   */
  async learn() {
    const told = await get('whoami/rights').catch(() => null);
    if (told !== null) this.rights = new Map(told.map((/** @type {import('./rights.js').Told} */ one) => [one.vhost, one]));
  }

  /** @param {boolean} isReadOnly */
  setReadOnly(isReadOnly) {
    this.isReadOnly = isReadOnly;
    remember(READ_ONLY, isReadOnly ? '1' : null);
  }
}

/** @returns {Promise<Session | null>} Null if nobody is signed in. */
export async function current() {
  const user = await get('session');
  return user === null ? null : new Session(user);
}

/**
 * @param {string} user
 * @param {string} password
 * @returns {Promise<Session>}
 */
export async function enter(user, password) {
  return new Session(await request('POST', 'session', {body: {user, password}}));
}

/**
 * How somebody may sign in.
 *
 * @returns {Promise<{password: boolean, provider: string | null}>} `provider` is the host of who knows users, too.
 */
export function ways() {
  return get('session/ways');
}

/** @returns {Promise<void>} */
export async function leave() {
  await request('DELETE', 'session');
}
