/**
 * What happens in the broker, as it happens: who connects, declares, binds, deletes.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {clock, exact} from '../app/time.js';
import {Lines} from '../app/lines.js';
import {badge, choice, filter, name} from '../app/ui.js';
import {holdButtons, stateOf} from './log.js';

/** @typedef {import('../app/lines.js').Line} Line */

/** Events by what they are of. */
const KINDS = {
  connection: ['connection.created', 'connection.closed'],
  channel: ['channel.created', 'channel.closed'],
  consumer: ['consumer.created', 'consumer.deleted'],
  queue: ['queue.created', 'queue.deleted'],
  exchange: ['exchange.created', 'exchange.deleted'],
  binding: ['binding.created', 'binding.deleted'],
  user: [
    'user.created',
    'user.deleted',
    'user.password.changed',
    'user.password.cleared',
    'user.tags.set',
    'user.authentication.success',
    'user.authentication.failure',
  ],
  permission: ['permission.created', 'permission.deleted', 'topic.permission.created', 'topic.permission.deleted'],
  vhost: ['vhost.created', 'vhost.deleted', 'vhost.limits.set', 'vhost.limits.cleared'],
  policy: ['policy.set', 'policy.cleared', 'parameter.set', 'parameter.cleared'],
  alarm: ['alarm.set', 'alarm.cleared'],
};
const ALL = Object.values(KINDS).flat();
/** @type {[string, string][]} */
const CHOICES = [['', 'all'], ...Object.keys(KINDS).map((kind) => /** @type {[string, string]} */ ([kind, kind]))];
const SHOWN = 500;
/** Told in the line itself, or of no use to a reader. */
const LEFT_OUT = new Set(['event', 'timestamp_in_ms', 'name', 'members', 'leader', 'owner_pid', 'pid', 'node']);

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Events',
  ask: () => ({}),
  start: (ctx) => {
    const lines = new Lines(
      (kind, data) => `${kind} ${data.name ?? data.source_name ?? ''}`,
      () => ctx.draw(),
    );
    ctx.state.lines = lines;
    lines.open('events', ALL);
    return () => lines.close();
  },
  view: (ctx) => {
    /** @type {Lines} */
    const lines = ctx.state.lines;
    const of = ctx.query.get('of') ?? '';
    const wanted = (ctx.query.get('name') ?? '').toLowerCase();
    const found = lines.all.filter(
      ({kind, data}) =>
        (of === '' || kind.startsWith(`${of}.`) || kind.startsWith(`topic.${of}`)) &&
        (wanted === '' || JSON.stringify(data).toLowerCase().includes(wanted)),
    );
    return html`
      <div class="toolbar">${filter(ctx, 'Filter by text')} ${holdButtons(ctx, lines)}<span class="count" role="status">${stateOf(lines, found.length)}</span></div>
      <div class="toolbar scrolls">${choice(ctx, 'of', 'Events of', CHOICES)}</div>
      <ol class="lines" aria-label="Events, newest first">${each(found.slice(0, SHOWN), ({id}) => id, line)}</ol>
      ${found.length === 0 ? html`<p class="quiet">What happens from now on is shown here.</p>` : null}`;
  },
};

export default page;

/** @param {Line} line */
function line({kind, at, data}) {
  const time = data.timestamp_in_ms ?? at;
  const rest = Object.entries(data).filter(([key, value]) => !LEFT_OUT.has(key) && value !== '' && value !== null);
  const tone = /deleted|closed|cleared|failure/.test(kind) ? 'warn' : /alarm/.test(kind) ? 'bad' : 'plain';
  const by = data.user_who_performed_action;
  return html`<li><time title=${exact(time)}>${clock(time)}</time> ${badge(kind, tone)} <span class="line-text">${name(data.name ?? data.source_name ?? data.user ?? '')}${by ? html` by ${name(by)}` : null}</span>
    <details class="line-more"><summary>more</summary><pre>${rest.map(([key, value]) => `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`).join('\n')}</pre></details></li>`;
}
