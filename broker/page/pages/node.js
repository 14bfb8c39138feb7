/**
 * The node: what it uses of what it may, over time; how it is configured; and limits that may be moved while it runs.
 *
 * @module
 */

import '../parts/chart.js';

import {each, html} from '../parts/html.js';
import {bytes, count} from '../app/number.js';
import {duration} from '../app/time.js';
import {ask} from '../app/ask.js';
import {historyOf, LONG_RANGE_CHOICES, RANGE_MEANT} from '../app/history.js';
import {api} from '../app/place.js';
import {answered, choice, facts, field, filter, name, section} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */

const COLUMNS =
  'name,uptime,os_pid,processors,mem_limit,mem_used,disk_free,disk_free_limit,fd_used,fd_total,sockets_used,mem_alarm,disk_free_alarm,proc_used,db_dir,log_files,config_files,leveret_version,rabbitmq_version,auth_mechanisms.name';
const SERIES = ['mem_used', 'disk_free', 'fd_used', 'sockets_used'];

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Node',
  ask: (ctx) => ({
    nodes: api(
      'nodes',
      {},
      {
        columns: `${COLUMNS},${SERIES.map((key) => `${key}_details.samples`).join(',')}`,
        ...historyOf(ctx).query(['node_stats'], ctx.now),
      },
    ),
    config: ctx.session.is('administrator') && ctx.data.config === undefined ? api('config/effective') : undefined,
    keys: ctx.session.is('administrator') && ctx.data.keys === undefined ? api('config/keys') : undefined,
  }),
  view: (ctx) => html`
    <div class="columns">
      ${section(
        'About',
        answered(ctx, 'nodes', ([node]) => about(node), 8),
        {actions: limits(ctx)},
      )}
      ${section(
        'Memory',
        answered(ctx, 'nodes', () => chart(ctx, 'Memory', [['Used', 'mem_used', '1']], bytes), 5),
        {actions: choice(ctx, 'range', 'Time', LONG_RANGE_CHOICES, RANGE_MEANT)},
      )}
      ${section(
        'Descriptors',
        answered(
          ctx,
          'nodes',
          () =>
            chart(
              ctx,
              'Descriptors',
              [
                ['Files', 'fd_used', '1'],
                ['Sockets', 'sockets_used', '2'],
              ],
              count,
            ),
          5,
        ),
      )}
      ${section(
        'Disk',
        answered(ctx, 'nodes', () => chart(ctx, 'Disk', [['Free', 'disk_free', '3']], bytes), 5),
      )}
    </div>
    ${ctx.session.is('administrator') ? section('Configuration', answered(ctx, 'config', configuration, 8), {text: 'what counts now, by its keys'}) : null}
    ${ctx.session.is('administrator') ? section('Keys', answered(ctx, 'keys', (keys) => keysOf(ctx, keys), 8), {text: 'what is set, and where'}) : null}`,
};

export default page;

/** @param {any} node */
function about(node) {
  const files = (/** @type {string[]} */ all) =>
    all?.length
      ? each(
          all,
          (one) => one,
          (one) => html`<div><code>${name(one)}</code></div>`,
        )
      : 'none';
  return facts([
    ['Name', name(node.name)],
    ['Version', `Leveret ${node.leveret_version}; RabbitMQ ${node.rabbitmq_version} to clients`],
    ['Up', duration(node.uptime)],
    ['Process', node.os_pid],
    ['Threads', count(node.processors)],
    ['Memory', `${bytes(node.mem_used)}; publishers wait from ${bytes(node.mem_limit)} on`],
    ['Free disk', `${bytes(node.disk_free)}; publishers wait below ${bytes(node.disk_free_limit)}`],
    ['Descriptors', `${count(node.fd_used)} of ${count(node.fd_total)}`],
    ['Data', html`<code>${name(node.db_dir)}</code>`],
    ['Configuration', files(node.config_files)],
    ['Log', files(node.log_files)],
  ]);
}

/**
 * @param {Context} ctx
 * @param {string} label
 * @param {[title: string, key: string, tone: string][]} lines
 * @param {(value: number) => string} format
 */
function chart(ctx, label, lines, format) {
  const history = historyOf(ctx);
  const [node] = ctx.data.nodes;
  if (node !== ctx.state.drawn) {
    ctx.state.drawn = node;
    for (const key of SERIES) history.add(key, node[`${key}_details`], 'sample', ctx.now);
  }
  const data = {
    label,
    ...history.span(),
    format,
    series: lines.map(([title, key, tone]) => ({name: title, tone, points: history.of(key)})),
  };
  return html`<time-chart .data=${data}></time-chart>`;
}

/** @param {Record<string, unknown>} config */
function configuration(config) {
  const rows = Object.entries(config).sort(([one], [other]) => one.localeCompare(other));
  return html`<table class="plain-table">
    <thead><tr><th scope="col">Key</th><th scope="col">Value</th></tr></thead>
    <tbody>${each(
      rows,
      ([key]) => key,
      ([key, value]) =>
        html`<tr><td><code>${key}</code></td><td>${set(key, value)}</td></tr>`,
    )}</tbody>
  </table>`;
}

/** Settings that are sizes, or times: a number alone says little. */
const UNITS = /** @type {Record<string, (value: number) => string>} */ ({
  disk_free_limit: bytes, frame_max: bytes, initial_frame_max: bytes, max_message_size: bytes, vm_memory_high_watermark: bytes,
  handshake_timeout: duration, heartbeat: (seconds) => duration(1000 * seconds),
});

/**
 * @param {string} key
 * @param {unknown} value
 */
function set(key, value) {
  if (value === null) return 'no limit';
  if (typeof value === 'number') return key in UNITS ? html`${value} <span class="quiet">${UNITS[key](value)}</span>` : value;
  return name(typeof value === 'string' ? value : Array.isArray(value) ? value.join(', ') || 'none' : JSON.stringify(value));
}

/** @typedef {{key: string, value: string | null, origin: string | null, default: string | null, takes: string, meaning: string, changes_count: string}} Key */

/**
 * @param {Context} ctx
 * @param {Key[]} keys
 */
function keysOf(ctx, keys) {
  const text = (ctx.query.get('key') ?? '').toLowerCase();
  const all = ctx.query.get('keys') === 'all' || text !== '';
  const found = keys.filter((one) => (all || one.origin !== null) && `${one.key} ${one.meaning}`.toLowerCase().includes(text));
  return html`
    <div class="toolbar">${filter(ctx, 'Find a key by its name or meaning', 'key')}
      ${text === '' ? choice(ctx, 'keys', 'Which keys', [['', 'that are set'], ['all', 'all']]) : null}<span class="count">${count(found.length)} of ${count(keys.length)} keys</span></div>
    ${
      found.length === 0
        ? html`<p class="quiet">${text === '' ? 'Nothing is set: defaults count.' : 'No key has this in its name or meaning.'}</p>`
        : html`<table class="plain-table">
      <thead><tr><th scope="col">Key</th><th scope="col">Value</th><th scope="col">Set in</th><th scope="col">A change counts</th></tr></thead>
      <tbody>${each(found, ({key}) => key, keyRow)}</tbody>
    </table>`
    }`;
}

/** @param {Key} one */
function keyRow({key, value, origin, default: meant, meaning, changes_count: when}) {
  const said = value ?? meant;
  return html`<tr><td><code>${key}</code><div class="quiet">${meaning}</div></td>
    <td>${said === null ? html`<span class="quiet">none</span>` : name(said)}</td>
    <td>${origin === null ? html`<span class="quiet">default</span>` : name(origin)}</td>
    <td>${when === 'restart' ? 'after a restart' : when === 'now' ? 'at once' : 'for new connections'}</td></tr>`;
}

/** @param {Context} ctx */
function limits(ctx) {
  if (!ctx.session.may('administrate')) return null;
  const text = html`<p>Counts at once, until a restart or until the configuration is read again.</p>`;
  const memory = () =>
    ask({
      title: 'From how much memory on publishers wait',
      action: 'Set',
      text,
      fields: () =>
        field('n-memory', 'Memory', html`<input id="n-memory" name="value" required autocomplete="off">`, {
          help: 'A share of all memory such as 0.6, or a size such as 4GB',
        }),
      submit: (data) =>
        ctx.change('PUT', 'operation/memory-watermark', {body: amount(data), done: 'The memory watermark is set.'}),
    });
  const disk = () =>
    ask({
      title: 'Below how much free disk publishers wait',
      action: 'Set',
      text,
      fields: () =>
        field('n-disk', 'Free disk', html`<input id="n-disk" name="value" required autocomplete="off">`, {
          help: 'A size such as 2GB, or a multiple of the memory such as 1.5',
        }),
      submit: (data) =>
        ctx.change('PUT', 'operation/disk-free-limit', {body: amount(data), done: 'The disk limit is set.'}),
    });
  return html`<button type="button" class="button" @click=${memory}>Memory limit…</button><button type="button" class="button" @click=${disk}>Disk limit…</button>`;
}

/**
 * @param {FormData} data
 * @returns {{relative: number} | {absolute: string}}
 */
function amount(data) {
  const text = String(data.get('value')).trim();
  return /^\d*\.?\d+$/.test(text) && Number(text) < 1000 ? {relative: Number(text)} : {absolute: text};
}
