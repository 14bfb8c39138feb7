/**
 * Where links of RabbitMQ's page lead. Knows no DOM.
 *
 * @module
 */

/**
 * @param {string} hash `#/queues/%2F/name`: an address of RabbitMQ's page.
 * @returns {string | null} The path of ours that shows the same.
 */
export function ofRabbit(hash) {
  if (!hash.startsWith('#/')) return null;
  const [path] = hash.slice(1).split('?');
  const known = ['/queues', '/exchanges', '/connections', '/channels', '/users', '/vhosts', '/policies', '/limits'];
  const isKnown = known.some((start) => path === start || path.startsWith(`${start}/`));
  return isKnown ? path : '/overview';
}
