/**
 * What needs attention, told from what the API says: the worst first, each with its numbers. Knows no DOM.
 *
 * @module
 */

import {causeOf} from '../app/causes.js';
import {bytes, count, rate, share} from '../app/number.js';
import {day, duration, roughly} from '../app/time.js';

/**
 * @typedef {object} Finding
 * @property {string} id
 * @property {'bad' | 'warn' | 'note'} tone
 * @property {string} word
 * @property {string} text
 * @property {{pattern: string, params?: Record<string, string>, query?: Record<string, string>}} [at] Where more is to be seen.
 */

/** @typedef {import('./overview-deaths.js').Deaths} Deaths */
/** @typedef {{overview: any, node: any, waiting: any[], unacked: any[], held: any[], deaths?: Deaths | null}} Seen */

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Whoever signs certificates may take weeks; */
const CERTIFICATE_SOON_MS = 30 * DAY;
/** and now it is urgent. */
const CERTIFICATE_NOW_MS = 7 * DAY;
/** What waits without anybody who takes it is worth a word after so long. */
const UNTAKEN_MS = MINUTE;
/** What waits behind others, or is not acknowledged, after so long. */
const OLD_MS = 5 * MINUTE;
/** What is looked at of each list, the worst first; where so many are of a kind, there may be more. */
export const LOOKED_AT = 20;
/** So many of a kind are named; the rest is counted. */
const NAMED = 3;

/**
 * @param {Seen} seen
 * @param {number} now
 * @returns {Finding[]}
 */
export function findings(seen, now) {
  const all = [
    ...(seen.node === undefined ? [] : ofNode(seen.node)),
    ...ofCertificates(seen.overview.certificates ?? [], now),
    ...ofHeld(seen.held),
    ...ofWaiting(seen.waiting, now),
    ...ofUnacked(seen.unacked, now),
    ...ofDeaths(seen.deaths ?? null),
    ...ofTraffic(seen.overview),
  ];
  const weight = {bad: 0, warn: 1, note: 2};
  return all.sort((one, other) => weight[one.tone] - weight[other.tone]);
}

/**
 * @param {any} node
 * @returns {Finding[]}
 */
function ofNode(node) {
  /** @type {Finding[]} */
  const found = [];
  if (node.mem_alarm) {
    const text = `Publishers are held back: the broker uses ${bytes(node.mem_used)} of memory, and may use ${bytes(node.mem_limit)}. Consume what waits, or raise vm_memory_high_watermark.`;
    found.push({id: 'memory', tone: 'bad', word: 'Memory', text});
  } else if (node.mem_used > 0.8 * node.mem_limit) {
    const text = `${bytes(node.mem_used)} are used, ${share(node.mem_used, node.mem_limit)} of what makes publishers wait.`;
    found.push({id: 'memory', tone: 'warn', word: 'Memory', text});
  }
  if (node.disk_free_alarm) {
    const text = `Publishers are held back: ${bytes(node.disk_free)} of the disk are free, and ${bytes(node.disk_free_limit)} have to be. Free some of it at ${node.db_dir}.`;
    found.push({id: 'disk', tone: 'bad', word: 'Disk', text});
  } else if (node.disk_free < 2 * node.disk_free_limit) {
    const text = `${bytes(node.disk_free)} are free; below ${bytes(node.disk_free_limit)} publishers wait.`;
    found.push({id: 'disk', tone: 'warn', word: 'Disk', text});
  }
  if (node.fd_used > 0.8 * node.fd_total) {
    const text = `${count(node.fd_used)} of ${count(node.fd_total)} file descriptors are open; at the limit no client can connect. Raise LimitNOFILE.`;
    found.push({id: 'descriptors', tone: 'warn', word: 'Descriptors', text});
  }
  return found;
}

/**
 * @param {{about: string, names: string, expires_ms: number}[]} certificates The one that ends first before the others.
 * @param {number} now
 * @returns {Finding[]}
 */
function ofCertificates(certificates, now) {
  return certificates
    .filter(({expires_ms: end}) => end - now < CERTIFICATE_SOON_MS)
    .map(({about, names, expires_ms: end}, n) => {
      const [when, then] =
        end > now
          ? [`ends in ${roughly(end - now)}, on ${day(new Date(end))}`, 'clients will refuse it then']
          : [`ended ${roughly(now - end)} ago, on ${day(new Date(end))}`, 'clients refuse it'];
      const text = `The TLS certificate for ${names || about} ${when}: ${then}. Put a new one into its files; they are read again without a restart.`;
      const tone = end - now < CERTIFICATE_NOW_MS ? 'bad' : 'warn';
      return {id: `certificate ${n}`, tone, word: 'Certificate', text};
    });
}

/**
 * @param {any[]} connections Those that are held back first.
 * @returns {Finding[]}
 */
function ofHeld(connections) {
  const held = connections.filter(({held_by: by}) => by !== undefined && by !== 'none');
  if (held.length === 0) return [];
  const number =
    held.length === connections.length
      ? `${held.length} connections or more are`
      : held.length === 1
        ? 'A connection is'
        : `${held.length} connections are`;
  const names = held.slice(0, NAMED).map((one) => one.user_provided_name ?? one.name);
  const reasons = [...new Set(held.map(({held_by: by}) => by))];
  const text = `${number} held back, by ${reasons.map(causeOf).join(', ')}: ${named(names, held.length)}.`;
  return [
    {id: 'held', tone: 'warn', word: 'Publishers', text, at: {pattern: '/connections', query: {sort: '-held_by'}}},
  ];
}

/**
 * @param {any[]} queues
 * @param {number} now
 * @returns {Finding[]}
 */
function ofWaiting(queues, now) {
  const age = (/** @type {any} */ queue) => (queue.oldest_ready_ms === null ? 0 : now - queue.oldest_ready_ms);
  const filled = queues.filter(({messages_ready: ready}) => ready > 0);
  const untaken = filled.filter((queue) => queue.consumers === 0 && age(queue) > UNTAKEN_MS);
  const late = filled.filter((queue) => queue.consumers > 0 && queue.standing !== 'stuck' && age(queue) > OLD_MS);
  const paused = queues.filter(({paused: pause}) => pause?.consumers || pause?.publishers);
  /** @type {Finding[]} */
  const found = [];
  const stuck = filled.filter(({standing}) => standing === 'stuck');
  if (stuck.length > 0) {
    const text = `Consumers take nothing from ${queuesOf(stuck)}: ${most(stuck)}${count(sum(stuck))} messages wait, the oldest for ${duration(Math.max(...stuck.map(age)))}.`;
    found.push({id: 'stuck', tone: 'bad', word: 'Stuck', text, at: placeOf(stuck, '-standing')});
  }
  if (untaken.length > 0) {
    const oldest = Math.max(...untaken.map(age));
    const growth = untaken.reduce((all, queue) => all + (queue.messages_ready_details?.rate ?? 0), 0);
    const grows = growth >= 0.1 ? `, and ${rate(growth)} more come a second` : '';
    const text = `${most(untaken).replace('a', 'A')}${count(sum(untaken))} messages wait in ${queuesOf(untaken)} without a consumer, the oldest for ${duration(oldest)}${grows}.`;
    found.push({id: 'untaken', tone: 'warn', word: 'No consumer', text, at: placeOf(untaken, '-standing')});
  }
  if (late.length > 0) {
    const oldest = Math.max(...late.map(age));
    const text = `Consumers do not keep up in ${queuesOf(late)}: the oldest message waits for ${duration(oldest)}.`;
    found.push({id: 'late', tone: 'warn', word: 'Falls behind', text, at: placeOf(late, '-ready_for_ms')});
  }
  if (paused.length > 0) {
    found.push({
      id: 'paused',
      tone: 'note',
      word: 'Paused',
      text: `Somebody paused ${queuesOf(paused)}.`,
      at: placeOf(paused, '-standing'),
    });
  }
  return found;
}

/**
 * @param {any[]} queues
 * @param {number} now
 * @returns {Finding[]}
 */
function ofUnacked(queues, now) {
  const age = (/** @type {any} */ queue) =>
    queue.oldest_unacknowledged_ms === null ? 0 : now - queue.oldest_unacknowledged_ms;
  const old = queues.filter((queue) => queue.messages_unacknowledged > 0 && age(queue) > OLD_MS);
  if (old.length === 0) return [];
  const text = `Consumers of ${queuesOf(old)} have had a message for ${duration(Math.max(...old.map(age)))} without an acknowledgement.`;
  return [{id: 'unacked', tone: 'warn', word: 'Not acked', text, at: old.length > 1 ? {pattern: '/consumers', query: {sort: '-unacknowledged_for_ms'}} : placeOf(old)}];
}

/** Why messages leave their queues, in a word; the first is what they may be meant to do. */
const CAUSES = /** @type {const} */ ([
  ['expired', 'expired'],
  ['rejected', 'rejected'],
  ['delivery_limit', 'delivered too often'],
  ['maxlen', 'of full queues'],
]);

/**
 * @param {Deaths | null} deaths
 * @returns {Finding[]}
 */
function ofDeaths(deaths) {
  if (deaths === null) return [];
  /** @type {Finding[]} */
  const found = [];
  const {overMs, deadLettered, dropped} = deaths;
  for (const [id, counts, word, one, more] of /** @type {const} */ ([
    ['dead letters', deadLettered, 'Dead letters', 'message became a dead letter', 'messages became dead letters'],
    ['dropped letters', dropped, 'Dropped', 'message was dropped by a queue without a dead-letter exchange', 'messages were dropped by queues without a dead-letter exchange'],
  ])) {
    const causes = CAUSES.filter(([cause]) => (counts[cause] ?? 0) > 0);
    if (causes.length === 0) continue;
    const all = causes.reduce((sum, [cause]) => sum + counts[cause], 0);
    const reasons = causes.map(([cause, is]) => `${count(counts[cause])} ${is}`).join(', ');
    const text = `${count(all)} ${all === 1 ? one : more} in the last ${roughly(overMs)}: ${reasons}.`;
    // Some let messages expire on purpose; what is rejected or too much is somebody's trouble.
    const tone = causes.some(([cause]) => cause !== 'expired') ? 'warn' : 'note';
    found.push({id, tone, word, text});
  }
  return found;
}

/**
 * @param {any} overview
 * @returns {Finding[]}
 */
function ofTraffic({message_stats: stats, churn_rates: churn, disable_stats: isWithout}) {
  const of = (/** @type {string} */ name) => stats?.[`${name}_details`]?.rate ?? 0;
  /** @type {Finding[]} */
  const found = [];
  if (of('drop_unroutable') > 0) {
    const text = `${rate(of('drop_unroutable'))} messages a second are lost: no binding takes them anywhere, and they are not mandatory.`;
    found.push({id: 'dropped', tone: 'warn', word: 'Unroutable', text});
  }
  if (of('redeliver') > 1 && of('redeliver') > 0.1 * of('deliver_get')) {
    const text = `${share(of('redeliver'), of('deliver_get'))} of what is delivered was delivered before. Consumers give messages back.`;
    found.push({id: 'redelivered', tone: 'warn', word: 'Redelivered', text});
  }
  const opened = churn?.connection_created_details?.rate ?? 0;
  if (opened > 10) {
    const text = `${rate(opened)} connections a second are opened. A client that keeps its connection is cheaper for both.`;
    found.push({id: 'churn', tone: 'note', word: 'Churn', text});
  }
  if (isWithout) {
    found.push({
      id: 'statistics',
      tone: 'note',
      word: 'Statistics',
      text: 'management.disable_stats is set: rates and charts are empty.',
    });
  }
  return found;
}

/**
 * @param {any[]} queues
 * @returns {number} Messages that are ready in all of them.
 */
function sum(queues) {
  return queues.reduce((total, {messages_ready: ready}) => total + ready, 0);
}

/**
 * @param {any[]} queues
 * @returns {string} What stands before their sum: not all of them were looked at, perhaps.
 */
function most(queues) {
  return queues.length >= LOOKED_AT ? 'at least ' : '';
}

/**
 * @param {any[]} queues
 * @param {string} [sort]
 * @returns {Finding['at']} The queue, if it is one, or the list of them.
 */
function placeOf(queues, sort = '-messages_ready') {
  if (queues.length > 1) return {pattern: '/queues', query: {sort}};
  return {pattern: '/queues/:vhost/:name', params: {vhost: queues[0].vhost, name: queues[0].name}};
}

/**
 * @param {any[]} queues
 * @returns {string}
 */
function queuesOf(queues) {
  const names = queues.slice(0, NAMED).map(({name, vhost}) => (vhost === '/' ? name : `${name} (${vhost})`));
  return named(names, queues.length);
}

/**
 * @param {string[]} names
 * @param {number} total
 * @returns {string} Some of them, each kept short, and how many more there are.
 */
function named(names, total) {
  const short = names.map((name) => (name.length > 40 ? `${name.slice(0, 39)}…` : name));
  const more = `${total >= LOOKED_AT ? 'at least ' : ''}${total - names.length}`;
  return total > names.length ? `${short.join(', ')} and ${more} more` : short.join(', ');
}
