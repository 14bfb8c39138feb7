/**
 * What a permission allows, tried where it is looked at. Knows no DOM.
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
  if (pattern === '') return name === '';
  try {
    return new RegExp(pattern, 'u').test(name);
  } catch {
    return plain(pattern, name);
  }
}

/**
 * Without the strictness that comes with `u`.
 *
 * @param {string} pattern
 * @param {string} name
 * @returns {boolean | null}
 */
function plain(pattern, name) {
  try {
    return new RegExp(pattern).test(name);
  } catch {
    return null;
  }
}
