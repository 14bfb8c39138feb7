/**
 * The table of all pages. One that has a name in the rail stands there for whoever may use it.
 *
 * @module
 */

/**
 * @param {string} pattern
 * @returns {boolean} Whether there is a page of this path.
 */
export function hasPage(pattern) {
  return PAGES.some(({path}) => path === pattern);
}

/** @type {import('./types.js').Entry[]} */
export const PAGES = [
  {path: '/overview', nav: 'Overview', load: () => import('../pages/overview.js')},
  {path: '/connections', nav: 'Connections', load: () => import('../pages/connections.js')},
  {path: '/connections/:name', load: () => import('../pages/connection.js')},
  {path: '/channels', nav: 'Channels', load: () => import('../pages/channels.js')},
  {path: '/channels/:name', load: () => import('../pages/channel.js')},
  {path: '/consumers', nav: 'Consumers', load: () => import('../pages/consumers.js')},
  {path: '/exchanges', nav: 'Exchanges', load: () => import('../pages/exchanges.js')},
  {path: '/exchanges/:vhost/:name', within: {param: 'vhost', act: 'enter'}, load: () => import('../pages/exchange.js')},
  {path: '/queues', nav: 'Queues', load: () => import('../pages/queues.js')},
  {path: '/queues/:vhost/:name', within: {param: 'vhost', act: 'enter'}, load: () => import('../pages/queue.js')},
  {path: '/node', nav: 'Node', group: 'Watch', needs: 'monitoring', load: () => import('../pages/node.js')},
  {path: '/events', nav: 'Events', group: 'Watch', needs: 'monitoring', load: () => import('../pages/events.js')},
  {path: '/log', nav: 'Log', group: 'Watch', needs: 'administrator', load: () => import('../pages/log.js')},
  {
    path: '/users',
    nav: 'Users',
    group: 'Administrate',
    needs: 'administrator',
    load: () => import('../pages/users.js'),
  },
  {path: '/users/:name', needs: 'administrator', load: () => import('../pages/user.js')},
  {path: '/vhosts', nav: 'Vhosts', group: 'Administrate', load: () => import('../pages/vhosts.js')},
  {path: '/vhosts/:name', within: {param: 'name', act: 'see vhost'}, load: () => import('../pages/vhost.js')},
  {path: '/policies', nav: 'Policies', group: 'Administrate', load: () => import('../pages/policies.js')},
  {path: '/limits', nav: 'Limits', group: 'Administrate', load: () => import('../pages/limits.js')},
  {
    path: '/definitions',
    nav: 'Definitions',
    group: 'Administrate',
    needs: 'administrator',
    load: () => import('../pages/definitions.js'),
  },
  {path: '/api', nav: 'API', group: 'Administrate', load: () => import('../pages/reference.js')},
  {path: '/design', load: () => import('../pages/design.js')},
];
