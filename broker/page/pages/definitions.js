/**
 * Definitions: everything but messages, as a file; and what a file would change before it does.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count} from '../app/number.js';
import {confirm} from '../app/dialog.js';
import {readJson} from '../app/json.js';
import {api} from '../app/place.js';
import {badge, field, name, section} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {[key: string, title: string, tone: import('../app/ui.js').Tone, says: string][]} */
const PARTS = [
  ['added', 'New', 'good', 'is made'],
  ['changed', 'Changed', 'warn', 'is set as given'],
  ['removed', 'Removed', 'bad', 'is there, not in the file, and deleted'],
  ['kept', 'Different and left', 'note', 'cannot be changed while it is there'],
];
/** Of a kind of change so many are shown. */
const SHOWN = 200;

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Definitions',
  ask: () => ({vhosts: api('vhosts', {}, {columns: 'name'})}),
  view: (ctx) => html`
    ${section(
      'Export',
      html`<div class="form">
      ${vhostField(ctx, 'e-vhost', 'of', 'Of')}
      <div class="row"><button type="button" class="button is-main" @click=${() => download(ctx)}>Download</button></div>
    </div>`,
      {text: 'users with hashes of their passwords, vhosts, permissions, policies, exchanges, queues, bindings'},
    )}
    ${ctx.session.may('administrate') ? section('Import', importForm(ctx), {text: 'shows what would change before anything does'}) : null}
    ${ctx.state.planned === undefined ? null : section('What it changes', difference(ctx), {actions: applyButton(ctx)})}`,
};

export default page;

/**
 * @param {Context} ctx
 * @param {string} id
 * @param {string} key Where the choice is kept.
 * @param {string} label
 */
function vhostField(ctx, id, key, label) {
  return field(
    id,
    label,
    html`<select id=${id} @change=${(/** @type {Event} */ event) => {
      ctx.state[key] = /** @type {HTMLSelectElement} */ (event.currentTarget).value;
      ctx.state.planned = undefined;
      ctx.draw();
    }}><option value="">the whole broker</option>${each(
      ctx.data.vhosts ?? [],
      (one) => one.name,
      (one) => html`<option value=${one.name}>the vhost ${one.name}</option>`,
    )}</select>`,
  );
}

/** @param {Context} ctx */
async function download(ctx) {
  const of = ctx.state.of ?? '';
  const definitions = await ctx.act('GET', of === '' ? 'definitions' : api('definitions/:of', {of}));
  if (definitions === undefined) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(definitions, null, 2)}\n`], {type: 'application/json'}));
  link.download = `definitions-${new Date().toISOString().slice(0, 10)}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {Context} ctx */
function importForm(ctx) {
  const {state} = ctx;
  const changed = (/** @type {string} */ text) => {
    state.text = text;
    state.planned = undefined;
    state.wrong = undefined;
    ctx.draw();
  };
  return html`<div class="form">
    ${vhostField(ctx, 'i-vhost', 'into', 'Into')}
    ${field(
      'i-file',
      'A file',
      html`<input id="i-file" type="file" accept=".json,application/json" @change=${async (
        /** @type {Event} */ event,
      ) => {
        const file = /** @type {HTMLInputElement} */ (event.currentTarget).files?.[0];
        if (file !== undefined) changed(await file.text());
      }}>`,
      {help: 'An export of this broker or of RabbitMQ 3.x or 4.x'},
    )}
    ${field('i-text', 'Or its text', html`<textarea id="i-text" spellcheck="false" .value=${state.text ?? ''} @input=${(/** @type {Event} */ event) => changed(/** @type {HTMLTextAreaElement} */ (event.currentTarget).value)}></textarea>`, {wrong: state.wrong})}
    <label class="check"><input type="checkbox" .checked=${state.prunes ?? false} @change=${(
      /** @type {Event} */ event,
    ) => {
      state.prunes = /** @type {HTMLInputElement} */ (event.currentTarget).checked;
      state.planned = undefined;
      ctx.draw();
    }}> Delete what is not in it</label>
    <div class="row"><button type="button" class="button is-main" disabled=${!state.text} @click=${() => plan(ctx)}>Show what would change</button></div>
  </div>`;
}

/**
 * @param {Context} ctx
 * @param {boolean} isDry
 * @returns {{path: string, body: unknown} | null} Null if the text is none; then it is said.
 */
function question(ctx, isDry) {
  const {state} = ctx;
  const body = readJson(state.text);
  if (body instanceof Error) {
    state.wrong = body.message;
    ctx.draw();
    return null;
  }
  const query = {dry_run: isDry, prune: state.prunes ?? false};
  const path = state.into ? api('operation/definitions/:of', {of: state.into}, query) : api('operation/definitions', {}, query);
  return {path, body};
}

/** @param {Context} ctx */
async function plan(ctx) {
  const asked = question(ctx, true);
  if (asked === null) return;
  const planned = await ctx.act('POST', asked.path, {body: asked.body});
  if (planned === undefined) return;
  ctx.state.planned = planned;
  ctx.draw();
}

/** @param {Context} ctx */
function difference(ctx) {
  const {difference: all, notes} = ctx.state.planned;
  const parts = PARTS.filter(([key]) => all[key].length > 0);
  return html`
    ${(notes ?? []).map((/** @type {unknown} */ note) => html`<p>${typeof note === 'string' ? note : JSON.stringify(note)}</p>`)}
    ${parts.length === 0 ? html`<p>Nothing: all of it is there, just so.</p>` : null}
    ${each(
      parts,
      ([key]) => key,
      ([key, title, tone, says]) => html`<div>
      <h3>${badge(title, tone)} ${count(all[key].length)}, each ${says}</h3>
      <ul class="steps">${all[key].slice(0, SHOWN).map(step)}</ul>
      ${all[key].length > SHOWN ? html`<p>And ${count(all[key].length - SHOWN)} more.</p>` : null}
    </div>`,
    )}`;
}

/** @param {any} one */
function step({type, vhost, object, differs}) {
  const called = Object.entries(object)
    .map(([key, value]) => `${key} ${value === '' ? '(empty)' : value}`)
    .join(', ');
  return html`<li><span>${type.replaceAll('_', ' ')}</span> ${name(called)}${vhost === undefined ? '' : html` in ${name(vhost)}`}
    ${(differs ?? []).map((/** @type {any} */ one) => html`<div class="step-differs"><code>${one.property}</code>: <del>${name(JSON.stringify(one.is))}</del> <ins>${name(JSON.stringify(one.wanted))}</ins></div>`)}</li>`;
}

/** @param {Context} ctx */
function applyButton(ctx) {
  const {difference: all} = ctx.state.planned;
  const changes = all.added.length + all.changed.length + all.removed.length;
  if (changes === 0) return null;
  return html`<button type="button" class="button is-main" @click=${() => apply(ctx)}>Apply ${count(changes)} ${changes === 1 ? 'change' : 'changes'}…</button>`;
}

/** @param {Context} ctx */
async function apply(ctx) {
  const {difference: all} = ctx.state.planned;
  const removes = all.removed.length;
  const answer = await confirm({
    title: 'Apply these definitions?',
    text: html`<p>${count(all.added.length)} are made, ${count(all.changed.length)} changed and ${count(removes)} deleted${removes > 0 ? ', queues with their messages' : ''}.</p>`,
    action: 'Apply',
    typed: removes > 0 ? 'delete' : undefined,
    isHarmless: removes === 0,
  });
  const asked = answer === null ? null : question(ctx, false);
  if (asked === null) return;
  const done = await ctx.act('POST', asked.path, {body: asked.body, done: 'The definitions count now.'});
  if (done === undefined) return;
  ctx.state.planned = undefined;
  ctx.draw();
}
