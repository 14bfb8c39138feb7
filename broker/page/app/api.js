/**
 * Asks the broker's API. The session is in a cookie that this script cannot read.
 *
 * @module
 */

import {jsonOr} from './json.js';
import {PREFIX} from './place.js';

/** An answer must be there within so long. */
const WITHIN_MS = 20_000;

/**
 * `lost`: nobody answered. `ended`: signed out. `refused`: not allowed to. `gone`: there is no such thing.
 * `failed`: anything else.
 *
 * @typedef {'lost' | 'ended' | 'refused' | 'gone' | 'failed'} ErrorKind
 */

/** Why something was not answered with what was asked for. */
export class ApiError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {number} status 0 if there was no answer.
   * @param {string} reason The broker's words.
   */
  constructor(kind, status, reason) {
    super(reason);
    this.kind = kind;
    this.status = status;
    this.reason = reason;
  }

  /** @returns {string} What to do about it. */
  get advice() {
    switch (this.kind) {
      case 'lost':
        return 'This page keeps trying. Check that the broker runs and can be reached from here.';
      case 'ended':
        return 'Sign in again.';
      case 'refused':
        return 'Ask an administrator for the permission, or sign in as somebody who has it.';
      case 'gone':
        return 'It may have been deleted, or renamed, since this page was opened.';
      case 'failed':
        return this.status >= 500 ? "The broker's log says more." : 'Correct what it says, and try again.';
    }
  }
}

/**
 * @param {string} method
 * @param {string} path Under `/api/`.
 * @param {{body?: unknown, signal?: AbortSignal, headers?: Record<string, string>}} [options]
 * @returns {Promise<any>} The JSON, or null where there is none.
 */
export async function request(method, path, {body, signal, headers = {}} = {}) {
  const response = await send(method, path, body, signal, headers);
  // Half an answer is none: who answers may be going away, and so may this page.
  const text = await response.text().catch(() => {
    throw new ApiError('lost', 0, 'The broker does not answer.');
  });
  const answer = jsonOr(text, null);
  if (response.ok) return answer;
  throw errorOf(response.status, answer);
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @param {number} [again] The seconds after which the same is asked again: other pages may be told the same.
 * @returns {Promise<any>}
 */
export function get(path, signal, again = 0) {
  return request('GET', path, {signal, headers: {'x-leveret-page': String(again)}});
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal | undefined} signal
 * @param {Record<string, string>} headers
 */
async function send(method, path, body, signal, headers) {
  /** @type {Record<string, string>} */
  const given = body === undefined ? {} : {'content-type': 'application/json'};
  const timeout = AbortSignal.timeout(WITHIN_MS);
  try {
    return await fetch(`${PREFIX}/api/${path}`, {
      method,
      headers: {accept: 'application/json', 'x-leveret-page': '0', ...given, ...headers},
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError('lost', 0, 'The broker does not answer.');
  }
}

/**
 * @param {number} status
 * @param {any} answer
 * @returns {ApiError}
 */
function errorOf(status, answer) {
  const said = typeof answer?.reason === 'string' ? answer.reason : JSON.stringify(answer?.reason ?? '');
  const reason = said === '""' || said === '' ? `The broker answered ${status}.` : said;
  return new ApiError(kindOf(status, answer?.error), status, reason);
}

/**
 * @param {number} status
 * @param {unknown} word
 * @returns {ErrorKind}
 */
function kindOf(status, word) {
  if (status === 401 && (word === 'session_ended' || word === undefined)) return 'ended';
  if (status === 401 || status === 403) return 'refused';
  if (status === 404) return 'gone';
  return [502, 504].includes(status) ? 'lost' : 'failed';
}
