/**
 * May this session do that to this thing? One place for all buttons, and the broker's own rules: what it would
 * refuse is not offered. Knows no DOM.
 *
 * Tags say who administrates; expressions over names, by vhost, say who configures, writes and reads. Stays true:
 * what is not known (another server is asked name by name, or an expression this browser cannot read) is
 * offered, and then the broker's answer counts.
 *
 * @module
 */

import {allows} from './permission-rules.js';

/** @typedef {'administrator' | 'monitoring' | 'policymaker' | 'management'} Role */
/** @typedef {'configure' | 'write' | 'read'} Right */
/** @typedef {{exchange: string, write: string, read: string}} Topic */

/**
 * As `/api/whoami/rights` tells it.
 *
 * @typedef {{vhost: string, configure: string | null, write: string | null, read: string | null, topics: Topic[] | null}} Told
 */

/** @typedef {{name: string, tags: string[], isReadOnly: boolean, rights: Map<string, Told>}} Who */

/**
 * What it is done to, as far as it matters.
 *
 * @typedef {object} Thing
 * @property {string} [vhost]
 * @property {string} [name] Of the queue or the exchange: the default exchange is empty, or `amq.default`.
 * @property {boolean} [exclusive] A queue of one connection alone.
 * @property {boolean} [internal] An exchange for other exchanges.
 * @property {string} [user] Whose it is.
 * @property {boolean} [isProtected]
 * @property {Binding} [binding]
 */

/** @typedef {{source: string, destination: string, destination_type: string, routing_key: string}} Binding */

/**
 * @param {Who} who
 * @param {Role} role An administrator has all of them; who has any may use the page.
 * @returns {boolean}
 */
export function is({tags}, role) {
  return tags.includes('administrator') || role === 'management' || tags.includes(role);
}

/**
 * @param {Who} who
 * @param {Thing} thing
 * @param {Right} right
 * @param {string} [name]
 * @returns {boolean} Whether it has this right to the name.
 */
function has({rights}, {vhost = '', name: own = ''}, right, name = own) {
  const told = rights.get(vhost);
  if (told === undefined) return false;
  const pattern = told[right];
  return pattern === null || (allows(pattern, name) ?? true);
}

/**
 * @param {Who} who
 * @param {Thing} thing
 * @param {Right} right
 * @returns {boolean} Whether there is any name to which it has this right.
 */
function hasAny({rights}, {vhost = ''}, right) {
  const told = rights.get(vhost);
  return told !== undefined && told[right] !== '' && told[right] !== NO_NAME;
}

/** What the broker says where no name fits. */
const NO_NAME = '[^\\s\\S]';
/** Where messages to queues are published. */
const DEFAULT = 'amq.default';

/** @param {Thing} thing */
const isDefault = ({name}) => name === '' || name === DEFAULT;
/** @param {Thing} thing */
const isReserved = ({name = ''}) => name.startsWith('amq.');
/** @param {Thing} thing */
const isShared = ({exclusive}) => exclusive !== true;

/**
 * @param {Who} who
 * @param {Thing} thing
 * @returns {boolean} Whether this binding may be made, and taken away.
 */
function mayBind(who, thing) {
  const {source, destination, routing_key: key} = thing.binding ?? {source: '', destination: '', routing_key: ''};
  if ([source, destination].some((name) => isDefault({name}))) return false;
  if (!has(who, thing, 'write', destination) || !has(who, thing, 'read', source)) return false;
  const topic = who.rights.get(thing.vhost ?? '')?.topics?.find(({exchange}) => exchange === source);
  return topic === undefined || (allows(topic.read, key) ?? true);
}

/**
 * Everything that is offered somewhere, by who may do it.
 *
 * @type {Record<string, (who: Who, thing: Thing) => boolean>}
 */
const ACTS = {
  // Of a vhost that others may see in lists.
  enter: (who, {vhost = ''}) => is(who, 'administrator') || who.rights.has(vhost),
  'see vhost': (who, {vhost = ''}) => is(who, 'monitoring') || who.rights.has(vhost),
  'see of': (who, {user}) => is(who, 'monitoring') || user === who.name,
  'browse queue': (who, thing) => isShared(thing) && has(who, thing, 'read'),

  // What waits in it for its time.
  'browse exchange': (who, thing) => has(who, thing, 'read', isDefault(thing) ? DEFAULT : thing.name),
  'delete delayed': (who, thing) => has(who, thing, 'configure', isDefault(thing) ? DEFAULT : thing.name),

  'declare queue': (who, thing) => (thing.name === undefined ? hasAny(who, thing, 'configure') : !isReserved(thing) && has(who, thing, 'configure')),
  'delete queue': (who, thing) => isShared(thing) && has(who, thing, 'configure'),
  'pause queue': (who, thing) => isShared(thing) && has(who, thing, 'configure'),
  'amend queue': (who, thing) => isShared(thing) && has(who, thing, 'configure'),
  'purge queue': (who, thing) => isShared(thing) && has(who, thing, 'read'),
  'delete messages': (who, thing) => isShared(thing) && has(who, thing, 'read'),
  'move messages': (who, thing) => isShared(thing) && has(who, thing, 'read') && hasAny(who, thing, 'write'),
  'redrive messages': (who, thing) => isShared(thing) && has(who, thing, 'read') && has(who, thing, 'write', DEFAULT),
  'bind queue': (who, thing) => isShared(thing) && has(who, thing, 'write') && hasAny(who, thing, 'read'),
  'fill queue': (who, thing) => has(who, thing, 'write', DEFAULT),

  'declare exchange': (who, thing) => (thing.name === undefined ? hasAny(who, thing, 'configure') : !isDefault(thing) && !isReserved(thing) && has(who, thing, 'configure')),
  'delete exchange': (who, thing) => !isDefault(thing) && !isReserved(thing) && has(who, thing, 'configure'),
  'publish to exchange': (who, thing) => thing.internal !== true && has(who, thing, 'write', isDefault(thing) ? DEFAULT : thing.name),
  'bind exchange': (who, thing) => !isDefault(thing) && has(who, thing, 'write') && hasAny(who, thing, 'read'),
  'bind from exchange': (who, thing) => !isDefault(thing) && has(who, thing, 'read') && hasAny(who, thing, 'write'),
  unbind: (who, thing) => isShared(thing) && mayBind(who, thing),

  'end of': (who, {user}) => is(who, 'administrator') || user === who.name,
  'make policies': (who, thing) => is(who, 'policymaker') && (thing.vhost === undefined || ACTS.enter(who, thing)),
  'make operator policies': (who) => is(who, 'administrator'),
  administrate: (who) => is(who, 'administrator'),
  'delete vhost': (who, {isProtected}) => is(who, 'administrator') && isProtected !== true,
};

/** These change nothing. */
const LOOKING = new Set(['enter', 'see vhost', 'see of', 'browse queue', 'browse exchange']);

/**
 * @param {Who} who
 * @param {string} act One of the table.
 * @param {Thing} [thing]
 * @returns {boolean}
 */
export function may(who, act, thing = {}) {
  const rule = ACTS[act];
  if (rule === undefined) throw new Error(`nobody knows what “${act}” is`);
  return (LOOKING.has(act) || !who.isReadOnly) && rule(who, thing);
}
