/**
 * The log as it is written, of the level that is asked for; and how much is written at all.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {count} from '../app/number.js';
import {exact, clock} from '../app/time.js';
import {get} from '../app/api.js';
import {ask} from '../app/ask.js';
import {Lines} from '../app/lines.js';
import {api} from '../app/place.js';
import {badge, choice, field, filter, name} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {import('../app/lines.js').Line} Line */

/** The least severe first. */
const SEVERITY = ['debug', 'info', 'notice', 'warning', 'error', 'critical'];
/** Of these the broker writes none, or little: nobody needs to choose them. */
const SELDOM = ['notice', 'critical'];
/** @type {[string, string][]} */
const LEVELS = SEVERITY.filter((level) => !SELDOM.includes(level)).map((level) => [level, level]);
const LEVEL_MEANT = 'info';
/** What a line is of, in the broker's words. */
const CATEGORIES = ['connection', 'channel', 'queue', 'user', 'default'];
/** Shown at a time. */
const SHOWN = 500;

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Log',
  ask: () => ({}),
  start: (ctx) => {
    const lines = new Lines(
      (_, data) => String(data.msg ?? data),
      () => ctx.draw(),
    );
    ctx.state.lines = lines;
    return () => lines.close();
  },
  view: (ctx) => {
    /** @type {Lines} */
    const lines = ctx.state.lines;
    const level = ctx.query.get('level') ?? LEVEL_MEANT;
    const category = ctx.query.get('of') ?? '';
    const path = api('log', {}, {level, category});
    if (ctx.state.path !== path) {
      ctx.state.path = path;
      lines.open(path, ['log']);
    }
    const wanted = (ctx.query.get('name') ?? '').toLowerCase();
    // What came before the choice was made stays in reach, and is no part of another.
    const found = lines.all.filter(
      ({text, data}) => isOf(data, level, category) && (wanted === '' || `${text} ${JSON.stringify(data)}`.toLowerCase().includes(wanted)),
    );
    return html`
      <div class="toolbar">
        ${choice(ctx, 'level', 'The least severe level that is shown', LEVELS, LEVEL_MEANT)}
        ${ofCategory(ctx, category)}
        ${filter(ctx, 'Filter by text')}
        ${holdButtons(ctx, lines)}
        ${ctx.session.may('administrate') ? html`<button type="button" class="button" @click=${() => setLevel(ctx)}>What is logged…</button>` : null}
        <span class="count" role="status">${stateOf(lines, found.length)}</span>
      </div>
      <ol class="lines" aria-label="The log, newest first">${found.slice(0, SHOWN).map(line)}</ol>
      ${found.length === 0 ? html`<p class="quiet">What is logged from now on is shown here. Older lines are in the broker's log file.</p>` : null}`;
  },
};

export default page;

/**
 * @param {any} data Of a line.
 * @param {string} level The least severe that is shown.
 * @param {string} category Or all.
 * @returns {boolean}
 */
export function isOf(data, level, category) {
  const isSevere = SEVERITY.indexOf(data.level) >= SEVERITY.indexOf(level) || !SEVERITY.includes(data.level);
  return isSevere && (category === '' || data.domain === `rabbitmq.${category}`);
}

/**
 * @param {Context} ctx
 * @param {string} now
 */
function ofCategory(ctx, now) {
  const chosen = (/** @type {Event} */ event) => ctx.setQuery({of: /** @type {HTMLSelectElement} */ (event.currentTarget).value});
  return html`<select class="filter is-short" aria-label="Lines of" .value=${now} @change=${chosen}>
    <option value="" selected=${now === ''}>of everything</option>
    ${CATEGORIES.map((one) => html`<option value=${one} selected=${one === now}>of ${one}</option>`)}
  </select>`;
}

/**
 * @param {Context} ctx
 * @param {Lines} lines
 */
export function holdButtons(ctx, lines) {
  const hold = () => {
    lines.isHeld = !lines.isHeld;
    ctx.draw();
  };
  const clear = () => {
    lines.all = [];
    ctx.draw();
  };
  return html`<button type="button" class="button" aria-pressed=${lines.isHeld ? 'true' : 'false'} @click=${hold}>${lines.isHeld ? 'Go on' : 'Hold'}</button>
    <button type="button" class="button is-quiet" @click=${clear}>Clear</button>`;
}

/**
 * @param {{outputs: {to: string, level: string}[], categories: Record<string, string>}} now
 * @returns {string} What is logged where, in words.
 */
export function loggedNow({outputs, categories}) {
  const to = outputs.map((one) => `${one.level} to ${one.to}`);
  const of = Object.entries(categories).map(([category, level]) => `${level} of ${category}`);
  return `Now: ${[...(to.length > 0 ? to : ['nothing']), ...of].join(', ')}.`;
}

/**
 * How much is logged at all, until the broker is started again.
 *
 * @param {Context} ctx
 */
async function setLevel(ctx) {
  // Without an answer it can be set all the same.
  const now = await get('operation/log-level').catch(() => null);
  const levels = [...SEVERITY.filter((level) => level !== 'notice'), 'none'];
  const meant = now?.outputs[0]?.level ?? LEVEL_MEANT;
  return ask({
    title: 'What is logged',
    action: 'Set',
    text: html`${now === null ? null : html`<p>${loggedNow(now)}</p>`}
      <p>What is set counts for the file and the console at once, until a restart or until the configuration is read again.</p>`,
    fields: () => html`
      ${field('g-level', 'From this level on', html`<select id="g-level" name="level">${levels.map((one) => html`<option value=${one} selected=${one === meant}>${one}</option>`)}</select>`)}
      ${field('g-category', 'Of', html`<select id="g-category" name="category"><option value="">everything</option>${CATEGORIES.map((one) => html`<option value=${one}>${one}</option>`)}</select>`)}`,
    submit: (data) => {
      const level = String(data.get('level'));
      const category = String(data.get('category'));
      const body = category === '' ? {level} : {level, category};
      return ctx.change('PUT', 'operation/log-level', {
        body,
        done: `Logged from ${level} on${category === '' ? '' : `, of ${category}`}.`,
      });
    },
  });
}

/**
 * @param {Lines} lines
 * @param {number} found
 * @returns {string}
 */
export function stateOf(lines, found) {
  const lost = lines.lost === 0 ? '' : `, ${count(lines.lost)} lost`;
  if (lines.isHeld) return `held, ${count(found)} lines${lost}`;
  if (lines.state === 'closed') return 'The stream was refused: there are too many, or you may not read it.';
  return `${lines.state === 'open' ? 'live' : 'connecting'}, ${count(found)} lines${lost}`;
}

/** @param {Line} line */
function line({id, at, text, data}) {
  const level = String(data.level ?? '');
  const time = Date.parse(String(data.time ?? '').replace(' ', 'T')) || at;
  const tone =
    level === 'error' || level === 'critical'
      ? 'bad'
      : level === 'warning'
        ? 'warn'
        : level === 'debug'
          ? 'plain'
          : 'note';
  return html`<li data-id=${id}><time title=${exact(time)}>${clock(time)}</time> ${badge(level, tone)} <span class="line-text">${name(text)}</span> <span class="line-of">${String(data.domain ?? '').replace('rabbitmq.', '')}</span></li>`;
}
