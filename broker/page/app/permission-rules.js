/**
 * What a permission allows, tried where it is looked at. Knows no DOM.
 *
 * Expressions are the broker's (Rust's); what this browser writes otherwise is put into its words first.
 *
 * @module
 */

/**
 * @param {string} pattern A permission: a regular expression that has to be found somewhere in the name.
 * @param {string} name Of a queue or an exchange.
 * @returns {boolean | null} Null where the browser does not know the expression.
 */
export function allows(pattern, name) {
  // RabbitMQ has an empty one for nothing.
  return pattern === '' ? name === '' : finds(pattern, name);
}

/**
 * @param {string} pattern A regular expression of the broker's.
 * @param {string} name
 * @returns {boolean | null} Whether it is found somewhere in the name; null where the browser does not know the expression.
 */
export function finds(pattern, name) {
  const compiled = compile(pattern);
  return compiled === null ? null : compiled.test(name);
}

/** @type {Map<string, RegExp | null>} Few are in use at a time, each for many names. */
const known = new Map();
const KNOWN_MAX = 100;

/**
 * @param {string} pattern
 * @returns {RegExp | null}
 */
function compile(pattern) {
  const found = known.get(pattern);
  if (found !== undefined) return found;
  if (known.size >= KNOWN_MAX) known.clear();
  const [, given = '', rest = ''] = /^(?:\(\?([ims]+)\))?([^]*)$/.exec(pattern) ?? [];
  const text = rest.replace(/\\[^]|\(\?P</g, (part) => ({'\\A': '^', '\\z': '$', '(?P<': '(?<'})[part] ?? part);
  const flags = [...new Set(given)].join('');
  const compiled = attempt(text, `${flags}u`) ?? attempt(text, flags);
  known.set(pattern, compiled);
  return compiled;
}

/**
 * @param {string} text
 * @param {string} flags Some of what others take is refused with `u`.
 * @returns {RegExp | null}
 */
function attempt(text, flags) {
  try {
    return new RegExp(text, flags);
  } catch {
    return null;
  }
}
