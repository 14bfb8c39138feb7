/**
 * How a queue is doing, in a word and in sentences: what is stuck, why, and what helps. Knows no DOM.
 *
 * @module
 */

import {count} from '../app/number.js';
import {duration} from '../app/time.js';

/** @typedef {'good' | 'warn' | 'bad' | 'note' | 'plain'} Tone */
/** @typedef {{id: string, tone: Tone, word: string, text: string}} Finding */
/** @typedef {{word: string, tone: Tone, help: string}} Standing */

/**
 * @param {any} queue A row of the list.
 * @param {number} now
 * @returns {Standing} The broker's word for it, and what it means.
 */
export function standing(queue, now) {
  const {standing: word = 'idle', paused} = queue;
  const age = typeof queue.oldest_ready_ms === 'number' ? now - queue.oldest_ready_ms : 0;
  /** @type {Record<string, [tone: Tone, help: string]>} */
  const known = {
    idle: ['plain', 'Nothing waits and nothing moves'],
    running: ['good', 'Messages go to consumers'],
    paused: ['note', told('Its consumers wait', paused?.consumers ?? '')],
    closed: ['note', told('Its publishers wait', paused?.publishers ?? '')],
    'no consumer': ['warn', 'Messages wait, and nobody takes them'],
    stuck: ['bad', `Nothing is delivered, and the oldest message waits for ${duration(age)}`],
  };
  const [tone, help] = known[word] ?? ['plain', ''];
  return {word, tone, help};
}

/**
 * @param {string} what
 * @param {string} reason
 * @returns {string}
 */
function told(what, reason) {
  return reason === '' ? what : `${what}: ${reason}`;
}

/** What each reason is called, how bad it is while messages wait, and what helps. */
/** @type {Record<string, [word: string, tone: Tone, advice: string]>} */
const REASONS = {
  consumers_paused: ['Paused', 'note', 'Resume them when the reason is gone.'],
  empty: ['Empty', 'good', ''],
  all_handed_out: ['Handed out', 'note', 'They are done when their consumers acknowledge.'],
  all_delayed: ['Delayed', 'note', 'They come back by themselves.'],
  no_consumers: ['No consumer', 'bad', 'Start the application that consumes from it.'],
  at_prefetch: ['At prefetch', 'bad', 'Look at what the consumers do, or let them have more at a time.'],
  held_back: ['Held back', 'bad', 'Look at the client: it does not read what it is sent.'],
  groups: ['Groups', 'warn', 'They come when what was delivered before is acknowledged.'],
  publishers_paused: ['Closed', 'note', 'Let them go on when the reason is gone.'],
  max_held_bytes: ['Budget', 'warn', 'Consumers have to catch up, or the budget has to grow.'],
  full: ['Full', 'bad', 'Consumers have to catch up, or the limit has to grow.'],
};

/**
 * @param {any} why The answer of `/why`.
 * @param {number} now
 * @returns {Finding[]} The worst first.
 */
export function findings(why, now) {
  const isWaiting = why.messages_ready > 0;
  /** @type {Finding[]} */
  const found = [];
  for (const {reason, text} of why.not_delivering_because) {
    const [word, tone, advice] = REASONS[reason] ?? ['Not delivering', 'warn', ''];
    // That nobody consumes from what is empty hurts nobody.
    const isHarmless = !isWaiting && (tone === 'bad' || tone === 'warn');
    found.push({id: `out ${reason}`, tone: isHarmless ? 'note' : tone, word, text: sentence(text, isWaiting ? waits(why, now) : '', isHarmless ? '' : advice)});
  }
  for (const {reason, text} of why.not_taking_because) {
    const [word, tone, advice] = REASONS[reason] ?? ['Not taking', 'bad', ''];
    found.push({id: `in ${reason}`, tone, word, text: sentence(text, '', advice)});
  }
  if (why.publishers_held > 0) {
    const many = why.publishers_held === 1 ? 'One connection waits' : `${count(why.publishers_held)} connections wait`;
    found.push({id: 'held', tone: 'warn', word: 'Publishers wait', text: `${many} until this queue takes more.`});
  }
  if (found.length === 0) found.push(well(why, now));
  return found.sort((one, other) => ORDER.indexOf(one.tone) - ORDER.indexOf(other.tone));
}

/** @type {Tone[]} */
const ORDER = ['bad', 'warn', 'note', 'plain', 'good'];

/**
 * @param {any} why
 * @param {number} now
 * @returns {Finding}
 */
function well(why, now) {
  const last = typeof why.last_delivery_ms === 'number' ? ` The last message went out ${duration(Math.max(0, now - why.last_delivery_ms))} ago.` : '';
  return {id: 'well', tone: 'good', word: 'Delivering', text: `Whatever comes goes to a consumer that has room.${last}`};
}

/**
 * @param {any} why
 * @param {number} now
 * @returns {string}
 */
function waits(why, now) {
  const messages = why.messages_ready === 1 ? 'One message waits' : `${count(why.messages_ready)} messages wait`;
  const age = typeof why.oldest_ready_ms === 'number' ? `, the oldest for ${duration(Math.max(0, now - why.oldest_ready_ms))}` : '';
  return `${messages}${age}.`;
}

/**
 * @param {string} text
 * @param {...string} more
 * @returns {string}
 */
function sentence(text, ...more) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return [/[.!?]$/.test(first) ? first : `${first}.`, ...more].filter((one) => one !== '').join(' ');
}
