/**
 * Who is signed in, and what of this page it may use.
 *
 * @module
 */

import {remember, remembered} from '../parts/theme.js';
import {get, request} from './api.js';

/** @typedef {'administrator' | 'monitoring' | 'policymaker' | 'management'} Role */

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
  }

  /**
   * @param {Role} role An administrator has all of them; who has any may use the page.
   * @returns {boolean}
   */
  is(role) {
    if (this.tags.includes('administrator') || role === 'management') return true;
    return this.tags.includes(role);
  }

  /**
   * Whether buttons that need this role are shown.
   *
   * @param {Role} role
   * @returns {boolean}
   */
  may(role) {
    return !this.isReadOnly && this.is(role);
  }

  /**
   * Whether buttons on something that belongs to a user are shown: its own, or all of an administrator's.
   *
   * @param {string | undefined} user
   * @returns {boolean}
   */
  mayEnd(user) {
    return !this.isReadOnly && (this.is('administrator') || user === this.name);
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

/** @returns {Promise<void>} */
export async function leave() {
  await request('DELETE', 'session');
}
