/**
 * What has a name in a vhost, such as a queue or a policy, as the key of a map. Knows no DOM.
 *
 * @module
 */

/**
 * @param {{vhost: string, name: string}} thing
 * @returns {string} Different for each of a kind.
 */
export function keyOf({vhost, name}) {
  return `${vhost}\n${name}`;
}
