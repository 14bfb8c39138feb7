/**
 * What holds connections back, in words. Knows no DOM.
 *
 * @module
 */

/** By the words of the API. */
const CAUSES = {
  memory: 'memory', disk: 'the disk', disk_and_memory: 'memory and the disk', max_held_bytes: 'what a queue may hold',
  rate_of_user: 'the rate of its user', rate_of_vhost: 'the rate of its vhost', rate_of_queue: 'the rate of a queue',
  store_full: 'the store, which is full', disk_backlog: 'a slow disk', queue: 'the consumers of a queue', client_does_not_read: 'a client that does not read',
};

/**
 * @param {string} cause `held_by` of the API.
 * @returns {string} In words.
 */
export function causeOf(cause) {
  return /** @type {Record<string, string>} */ (CAUSES)[cause] ?? cause.replaceAll('_', ' ');
}
