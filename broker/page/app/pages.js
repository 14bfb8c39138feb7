/**
 * The table of all pages. One that has a name in the rail stands there for whoever may use it.
 *
 * @module
 */

/** @type {import('./types.js').Entry[]} */
export const PAGES = [
  {path: '/overview', nav: 'Overview', load: () => import('../pages/overview.js')},
  {path: '/design', load: () => import('../pages/design.js')},
];
