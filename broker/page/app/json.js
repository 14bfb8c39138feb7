/**
 * JSON that others wrote: answers, what is typed, what this browser kept. Never throws. Knows no DOM.
 *
 * @module
 */

/**
 * @param {string} text
 * @returns {any} Or an `Error` that says where it is none.
 */
export function readJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    return new Error(`This is no JSON: ${error instanceof Error ? error.message : error}.`);
  }
}

/**
 * @param {string | null | undefined} text
 * @param {unknown} otherwise
 * @returns {any} What it says, or this where it is no JSON.
 */
export function jsonOr(text, otherwise) {
  const value = readJson(text ?? '');
  return value instanceof Error ? otherwise : value;
}
