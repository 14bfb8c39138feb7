/**
 * Every part that pages are made of, on one page, in the theme that is chosen: the rules are written here.
 *
 * @module
 */

import '../parts/chart.js';
import '../parts/table.js';

import {each, html} from '../parts/html.js';
import {bytes, count, rate} from '../app/number.js';
import {ApiError} from '../app/api.js';
import {confirm} from '../app/dialog.js';
import {folded} from '../app/marks.js';
import {clock} from '../app/time.js';
import {
  badge,
  choice,
  empty,
  facts,
  field,
  filter,
  meter,
  name,
  problem,
  readout,
  section,
  skeleton,
  tabs,
  when,
} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */

const ROLES = [
  'ground',
  'sheet',
  'raised',
  'line',
  'line-strong',
  'ink',
  'ink-2',
  'ink-3',
  'link',
  'act',
  'focus',
  'mark',
  'good',
  'warn',
  'bad',
  'note',
  'plain',
];
const TONES = ['1', '2', '3', '4', '5', '6'];
const SIZES = [
  ['--t-small', 'Small', 'Units, help, headings of columns'],
  ['--t-body', 'Body', 'Everything that is read or compared'],
  ['--t-head', 'Head', 'The heading of a section'],
  ['--t-title', 'Title', 'The heading of a page'],
  ['--t-figure', 'Figure', 'One number that counts'],
];

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Design',
  ask: () => ({}),
  view: (ctx) => html`
    <p>Leveret's page is an instrument: dense where people compare, quiet where they read. A colour is a state or
      a thing to act upon, never an ornament. Numbers are right-aligned figures of one width. Nothing moves while it
      updates.</p>
    ${colours()} ${type()} ${states()} ${actions(ctx)} ${forms(ctx)} ${figures()} ${charts(ctx)} ${tables(ctx)} ${absent()}`,
};

export default page;

function colours() {
  return section(
    'Colours',
    html`<div class="swatches">
    ${each(
      [...ROLES, ...TONES.map((tone) => `tone-${tone}`)],
      (role) => role,
      (role) => html`<div>
      <div class="swatch-colour" css=${{background: `var(--${role})`}}></div><code>--${role}</code>
    </div>`,
    )}
  </div>`,
    {text: 'roles, each for both themes; style/theme.css alone names colours'},
  );
}

function type() {
  return section(
    'Type and space',
    html`<div class="scale">
    ${each(
      SIZES,
      ([size]) => size,
      ([size, title, use]) =>
        html`<div><code>${size}</code><span css=${{'font-size': `var(${size})`}}>${title}: ${use}</span></div>`,
    )}
    <div><code>--mono</code><code>orders.eu.created, 0 1 2 3 4 5 6 7 8 9</code></div>
    <div><code>--s-1…7</code><span>4, 8, 12, 16, 24, 32 and 48 pixels</span></div>
  </div>`,
    {text: 'the system’s own typefaces, five sizes'},
  );
}

function states() {
  return section(
    'States',
    html`<div class="stack">
    <div class="row">${badge('classic')} ${badge('running', 'good')} ${badge('flow', 'warn')} ${badge('blocked', 'bad')} ${badge('quorum', 'note')}</div>
    <div class="findings" css=${{'justify-self': 'stretch'}}>
      <div class="finding is-bad"><strong>Memory</strong><p>Publishers are held back: what is wrong, with numbers, and what helps.</p><a href="#content">Show</a></div>
      <div class="finding is-warn"><strong>No consumer</strong><p>Something will be wrong if nobody looks.</p><a href="#content">Show</a></div>
      <div class="finding is-note"><strong>Paused</strong><p>Somebody meant it.</p><span></span></div>
      <div class="finding is-good"><strong>All is well</strong><p>And what was looked at.</p></div>
    </div>
  </div>`,
    {text: 'the word says it, the colour repeats it'},
  );
}

/** @param {Context} ctx */
function actions(ctx) {
  const ask = async () => {
    const answer = await confirm({
      title: 'Delete the queue orders.eu?',
      text: html`<p>12,431 messages are deleted with it, and two bindings.</p>`,
      action: 'Delete',
      typed: 'orders.eu',
    });
    ctx.say(
      answer === null ? 'Nothing was deleted.' : 'orders.eu would be deleted now.',
      answer === null ? 'good' : 'bad',
    );
  };
  return section(
    'Actions',
    html`<div class="stack">
    <div class="row">
      <button type="button" class="button is-main">Declare</button>
      <button type="button" class="button">Export</button>
      <button type="button" class="button is-bad" @click=${ask}>Delete…</button>
      <button type="button" class="button is-quiet">Cancel</button>
      <button type="button" class="button" disabled>Not now</button>
      <a href="#content">A link</a>
    </div>
    ${choice(ctx, 'range', 'Time', [
      ['10m', '10 min'],
      ['1h', '1 h'],
      ['1m', '1 min'],
    ])}
  </div>`,
    {text: 'one main button a page; what cannot be undone is typed'},
  );
}

/** @param {Context} ctx */
function forms(ctx) {
  return section(
    'Forms',
    html`<div class="form">
    ${tabs(ctx, [
      ['declare', 'Declare'],
      ['arguments', 'Arguments'],
    ])}
    ${filter(ctx, 'Filter by name')}
    <div class="form-grid">
      ${field('d-name', 'Name', html`<input id="d-name" autocomplete="off" spellcheck="false">`, {help: 'Up to 255 bytes'})}
      ${field('d-type', 'Type', html`<select id="d-type"><option>classic</option><option>quorum</option></select>`)}
      ${field('d-limit', 'Length limit', html`<input id="d-limit" inputmode="numeric" value="many">`, {wrong: 'A whole number, such as 100000'})}
    </div>
    ${field('d-args', 'Arguments', html`<textarea id="d-args" spellcheck="false">{"x-max-length": 100000}</textarea>`, {help: 'JSON'})}
    <label class="check"><input type="checkbox" checked> Durable</label>
  </div>`,
  );
}

function figures() {
  return section(
    'Figures',
    html`
    ${readout([
      {label: 'Ready', value: count(1_204_311)},
      {label: 'Published', value: rate(8211.2), unit: '/s'},
      {label: 'Blocked', value: count(2), tone: 'bad'},
      {label: 'Unknown', value: count(undefined)},
    ])}
    ${meter({label: 'Memory', used: 5.1e9, limit: 8e9, format: bytes})}
    ${meter({label: 'File descriptors', used: 900, limit: 1024, format: count})}
    ${meter({label: 'Free disk', used: 1.2e9, limit: 8e9, tick: 0.1, format: bytes, isReverse: true})}
    ${facts([
      ['Connected', when(Date.now() - 192_000, Date.now())],
      ['Client', name('pika 1.4.4, <b>Python</b>')],
      ['Name', name('שלום 🐇 \u202eabc')],
    ])}`,
  );
}

/** @param {Context} ctx */
function charts(ctx) {
  const to = 1_796_036_200_000;
  const wave = (/** @type {number} */ size, /** @type {number} */ phase) =>
    Array.from(
      {length: 121},
      (_, n) =>
        /** @type {[number, number]} */ ([
          to - (120 - n) * 5000,
          Math.max(0, size * (1 + 0.4 * Math.sin(n / 9 + phase) + 0.1 * Math.sin(n * 1.7))),
        ]),
    );
  const happened = /** @type {const} */ ([[400_000, '1 consumer, before 2'], [398_000, 'Its consumers are paused: upgrade'], [300_000, 'Its consumers go on']])
    .map(([ago, text]) => ({at: to - ago, text: `${clock(to - ago)} ${text}`}));
  ctx.state.chart ??= {
    label: 'Messages a second',
    from: to - 600_000,
    to,
    gap: 20_000,
    format: (/** @type {number} */ value) => `${rate(value)}/s`,
    series: [
      {name: 'Published', tone: '1', points: wave(820, 0)},
      {name: 'Delivered', tone: '2', points: wave(780, 0.4)},
      {name: 'Redelivered', tone: '4', points: wave(40, 2).filter((_, n) => n < 40 || n > 60)},
    ],
    marks: (/** @type {number} */ since, /** @type {number} */ until, /** @type {number} */ width) => folded(happened, since, until, width),
  };
  return section('Charts', html`<time-chart .data=${ctx.state.chart}></time-chart>`, {
    text: 'pointer or arrow keys look at a moment, and say what happened then; the legend hides a line',
  });
}

/** @param {Context} ctx */
function tables(ctx) {
  ctx.state.rows ??= Array.from({length: 10_000}, (_, n) => ({
    name: `orders.${String(n).padStart(5, '0')}`,
    ready: (n * 7919) % 10_007,
    rate: (n % 97) / 3,
    state: n % 41 === 0 ? 'flow' : 'running',
  }));
  const sort = ctx.query.get('sort') ?? 'name';
  const rows =
    sort === 'name'
      ? ctx.state.rows
      : [...ctx.state.rows].sort((one, other) =>
          sort === '-ready'
            ? other.ready - one.ready
            : sort === 'ready'
              ? one.ready - other.ready
              : other.name.localeCompare(one.name),
        );
  return section(
    'Tables',
    html`<data-table .data=${{
      label: 'Queues that are not there',
      rows,
      key: (/** @type {any} */ row) => row.name,
      sort,
      onSort: (/** @type {string} */ next) => ctx.setQuery({sort: next === 'name' ? null : next}),
      columns: [
        {
          id: 'name',
          title: 'Name',
          sorts: true,
          view: (/** @type {any} */ row) => html`<a href="#content">${name(row.name)}</a>`,
        },
        {
          id: 'state',
          title: 'State',
          width: '7rem',
          view: (/** @type {any} */ row) => badge(row.state, row.state === 'flow' ? 'warn' : 'good'),
        },
        {
          id: 'ready',
          title: 'Ready',
          isNumber: true,
          sorts: true,
          width: '7rem',
          view: (/** @type {any} */ row) => count(row.ready),
        },
        {
          id: 'rate',
          title: 'In, /s',
          isNumber: true,
          wide: true,
          width: '7rem',
          view: (/** @type {any} */ row) => rate(row.rate),
        },
      ],
    }}></data-table>`,
    {text: '10,000 rows, of which those to be seen are there; arrow keys go from row to row'},
  );
}

function absent() {
  return section(
    'Not there',
    html`<div class="columns">
    ${empty('No queues yet', 'Clients declare them, or you do.', html`<button type="button" class="button is-main">Declare a queue</button>`)}
    ${problem(new ApiError('refused', 401, "Access to vhost 'a' refused for user 'b'."))}
    <div data-example>${skeleton(3)}</div>
  </div>`,
    {text: 'what is empty says what to do; what is wrong, too; what is coming has its place'},
  );
}
