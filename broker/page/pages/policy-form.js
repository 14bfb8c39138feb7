/**
 * Making a policy, with what its pattern matches while it is typed.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count} from '../app/number.js';
import {ApiError} from '../app/api.js';
import {ask} from '../app/ask.js';
import {api} from '../app/place.js';
import {field, name} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */

/** What policies can set of queues and exchanges, each with what a value looks like. */
const KEYS = [
  ['max-length', '100000'],
  ['max-length-bytes', '1073741824'],
  ['overflow', '"drop-head", "reject-publish", "reject-publish-dlx"'],
  ['message-ttl', '60000, in ms'],
  ['expires', '1800000, in ms'],
  ['expiry', '"head", "anywhere"'],
  ['dead-letter-exchange', '"name"'],
  ['dead-letter-routing-key', '"key"'],
  ['dead-letter-strategy', '"at-most-once", "at-least-once"'],
  ['delivery-limit', '20'],
  ['delayed-retry-type', '"all", "failed", "returned", "disabled"'],
  ['delayed-retry-min', '1000, in ms'],
  ['delayed-retry-max', '60000, in ms'],
  ['delayed-retry-backoff', '"linear", "exponential"'],
  ['consumer-timeout', '1800000, in ms'],
  ['max-held-bytes', '1073741824'],
  ['max-publish-rate', '1000'],
  ['max-publish-byte-rate', '1048576'],
  ['alternate-exchange', '"name"'],
  ['delayed-message', 'true'],
];

const OF = ['all', 'queues', 'classic_queues', 'quorum_queues', 'streams', 'exchanges'];
const PAUSE_MS = 200;
const SHOWN = 6;

/**
 * @param {Context} ctx
 * @param {'policies' | 'operator-policies'} kind
 * @param {any | null} row What is changed.
 */
export function editPolicy(ctx, kind, row) {
  const state = {vhost: row?.vhost ?? '/', pattern: row?.pattern ?? '', of: row?.['apply-to'] ?? 'queues'};
  const preview = new Preview(ctx, state);
  const typed = (/** @type {Event} */ event, /** @type {() => void} */ redraw) => {
    const input = /** @type {HTMLInputElement} */ (event.currentTarget);
    Object.assign(state, {[input.name]: input.value});
    preview.ask(redraw);
  };
  return ask({
    title: row === null ? (kind === 'policies' ? 'Add a policy' : 'Add an operator policy') : `Change ${row.name}`,
    action: row === null ? 'Add' : 'Change',
    isWide: true,
    fields: (redraw) => html`
      <div class="form-grid">
        ${row === null ? field('y-vhost', 'Vhost', html`<select id="y-vhost" name="vhost" @change=${(/** @type {Event} */ event) => typed(event, redraw)}>${(ctx.data.vhosts ?? []).filter((/** @type {any} */ one) => ctx.session.may('make policies', {vhost: one.name})).map((/** @type {any} */ one) => html`<option value=${one.name} selected=${one.name === state.vhost}>${one.name}</option>`)}</select>`) : null}
        ${row === null ? field('y-name', 'Name', html`<input id="y-name" name="name" required autocomplete="off" spellcheck="false">`) : null}
        ${field('y-of', 'Of', html`<select id="y-of" name="of" @change=${(/** @type {Event} */ event) => typed(event, redraw)}>${OF.map((one) => html`<option value=${one} selected=${one === state.of}>${one.replace('_', ' ')}</option>`)}</select>`)}
        ${field('y-priority', 'Priority', html`<input id="y-priority" name="priority" type="number" value=${row?.priority ?? 0}>`, {help: 'The highest counts'})}
      </div>
      ${field('y-pattern', 'Pattern', html`<input id="y-pattern" name="pattern" required autocomplete="off" spellcheck="false" value=${state.pattern} @input=${(/** @type {Event} */ event) => typed(event, redraw)}>`, {help: 'A regular expression that is found in the name: ^orders\\. is at its beginning'})}
      <div role="status" aria-live="polite">${preview.view()}</div>
      ${field(
        'y-definition',
        'Sets',
        html`<textarea id="y-definition" name="definition" required spellcheck="false">${row === null ? '{\n  "max-length": 100000\n}' : JSON.stringify(row.definition, null, 2)}</textarea>`,
        {
          help: html`JSON. Known: ${each(
            KEYS,
            ([key]) => key,
            ([key, value]) => html`<abbr title=${value}>${key}</abbr> `,
          )}`,
        },
      )}`,
    submit: async (data) => {
      const definition = parsed(String(data.get('definition')));
      if (definition instanceof ApiError) return definition;
      const vhost = row?.vhost ?? String(data.get('vhost'));
      const called = row?.name ?? String(data.get('name'));
      const body = {
        pattern: String(data.get('pattern')),
        'apply-to': String(data.get('of')),
        priority: Number(data.get('priority')),
        definition,
      };
      return ctx.change('PUT', api(`${kind}/:vhost/:name`, {vhost, name: called}), {
        body,
        done: `${called} counts now.`,
      });
    },
  });
}

/**
 * @param {string} text
 * @returns {unknown}
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    return new ApiError('failed', 400, `What it sets is no JSON: ${error instanceof Error ? error.message : error}.`);
  }
}

/** What a pattern matches. */
class Preview {
  /**
   * @param {Context} ctx
   * @param {{vhost: string, pattern: string, of: string}} state
   */
  constructor(ctx, state) {
    this.ctx = ctx;
    this.state = state;
    this.timer = 0;
    this.last = 0;
    /** @type {{kind: string, total: number, names: {name: string, policy?: string | null}[]}[] | null} */
    this.found = null;
  }

  /** @param {() => void} redraw */
  ask(redraw) {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.now(redraw), PAUSE_MS);
  }

  /** @param {() => void} redraw */
  async now(redraw) {
    this.last += 1;
    const own = this.last;
    const {pattern, of} = this.state;
    if (pattern === '' || !isPattern(pattern)) {
      this.found = null;
      return redraw();
    }
    const kinds = of === 'all' ? ['queues', 'exchanges'] : of === 'exchanges' ? ['exchanges'] : ['queues'];
    const found = await Promise.all(kinds.map((kind) => this.one(kind)));
    if (own !== this.last) return undefined;
    this.found = found;
    return redraw();
  }

  /** @param {string} kind */
  async one(kind) {
    const {vhost, pattern} = this.state;
    const path = api(
      `${kind}/:vhost`,
      {vhost},
      {name: pattern, use_regex: true, page: 1, page_size: SHOWN, columns: 'name,policy'},
    );
    const answer = await this.ctx.fetch(path).catch(() => null);
    return {kind, total: answer?.filtered_count ?? 0, names: answer?.items ?? []};
  }

  view() {
    if (this.found === null) return html`<p class="preview">What it matches is shown here.</p>`;
    return this.found.map(({kind, total, names}) => html`<p class="preview"><strong>${count(total)} ${total === 1 ? kind.slice(0, -1) : kind}</strong>
      ${each(names, (one) => one.name, (one) => html`<span><code>${name(one.name === '' ? '(default exchange)' : one.name)}</code>${one.policy ? html` <small>now ${name(one.policy)}</small>` : null}</span>`)}
      ${total > names.length ? html`<span>and ${count(total - names.length)} more</span>` : null}</p>`);
  }
}

/**
 * @param {string} text
 * @returns {boolean}
 */
function isPattern(text) {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}
