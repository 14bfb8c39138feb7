/**
 * What a page is, and what it is given. Types alone.
 *
 * @module
 */

/** @typedef {import('./api.js').ApiError} ApiError */
/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./session.js').Role} Role */
/** @typedef {import('./poll.js').Questions} Questions */

/**
 * What a page is given, while it is shown.
 *
 * @typedef {object} Context
 * @property {Record<string, string>} params What stands for the names of its path.
 * @property {URLSearchParams} query What the address says: filters, the sort, the part of the page.
 * @property {(changes: Record<string, string | number | boolean | null | undefined>, how?: {push?: boolean}) => void} setQuery
 * @property {(path: string) => void} go To another page, such as `/queues`.
 * @property {Session} session
 * @property {Record<string, any>} data What was answered, by the names of `ask`; undefined before.
 * @property {Record<string, ApiError | undefined>} errors
 * @property {Record<string, any>} state The page's own, until another is shown.
 * @property {() => void} draw After `state` was changed.
 * @property {() => void} refresh Asks now.
 * @property {() => void} hold Asks nothing until `refresh`, or until another page is shown.
 * @property {(method: string, path: string, options?: ActOptions) => Promise<any>} act Changes something, and says what
 *   is wrong if it did not work (then the answer is undefined).
 * @property {(method: string, path: string, options?: ActOptions) => Promise<ApiError | null>} change The same, for a form
 *   that says itself what is wrong.
 * @property {(path: string) => Promise<any>} fetch Asks once. Throws an `ApiError`.
 * @property {(text: string, tone?: 'good' | 'bad') => void} say
 * @property {number} now When it is drawn, in milliseconds.
 * @property {number | null} lostSince Since when the broker does not answer.
 */

/**
 * What is sent, what is said when it is done, and where one goes then.
 *
 * @typedef {{body?: unknown, headers?: Record<string, string>, done?: string, go?: string}} ActOptions
 */

/**
 * @typedef {object} Page
 * @property {(ctx: Context) => string} title
 * @property {(ctx: Context) => Questions} ask Asked each time; null is not asked, undefined not this time.
 * @property {(ctx: Context) => unknown} view
 * @property {(ctx: Context) => (() => void) | void} [start] When it is shown; what it returns is called at the end.
 * @property {boolean} [hasOwnHead] It draws its heading itself.
 */

/**
 * @typedef {object} Entry
 * @property {string} path A pattern.
 * @property {() => Promise<{default: Page}>} load
 * @property {string} [nav] Its name in the rail.
 * @property {string} [group] The heading that it stands under.
 * @property {Role} [needs]
 * @property {{param: string, act: string}} [within] What has to be allowed in the vhost that this part of the path names.
 */

export {};
