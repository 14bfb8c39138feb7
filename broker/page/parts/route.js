/**
 * Addresses: which page a path is, and what stands in it. Knows no DOM.
 *
 * A pattern is `/queues/:vhost/:name`; names in paths are percent-encoded, so that any text fits.
 *
 * @module
 */

/**
 * @param {string} pattern
 * @param {string} path Without a query.
 * @returns {Record<string, string> | null} What stands for the names of the pattern.
 */
export function match(pattern, path) {
  const wanted = parts(pattern);
  const given = parts(path);
  if (wanted.length !== given.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [n, part] of wanted.entries()) {
    if (part.startsWith(':')) params[part.slice(1)] = decoded(given[n]);
    else if (part !== given[n]) return null;
  }
  return params;
}

/**
 * @param {string} pattern
 * @param {Record<string, string>} params
 * @returns {string}
 */
export function build(pattern, params) {
  const part = (/** @type {string} */ text) =>
    text.startsWith(':') ? encodeURIComponent(wellFormed(params[text.slice(1)] ?? '')) : text;
  return `/${parts(pattern).map(part).join('/')}`;
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function parts(path) {
  return path.split('/').filter((part) => part !== '');
}

/**
 * @param {string} text
 * @returns {string} The text itself, if it is no percent-encoding.
 */
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * @param {string} text
 * @returns {string} Without halves of characters, which no address can have.
 */
export function wellFormed(text) {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD');
}

/**
 * @param {string} before A query, with its question mark or without.
 * @param {Record<string, string | number | boolean | null | undefined>} changes Null, false and '' take away.
 * @returns {string} The query with them, in the order of names: the same state is the same address.
 */
export function changedQuery(before, changes) {
  const query = new URLSearchParams(before);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === false || value === '') query.delete(name);
    else query.set(name, wellFormed(String(value)));
  }
  query.sort();
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
