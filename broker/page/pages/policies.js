/**
 * Policies, and those of operators: what they set, and what they match, before and after.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {keyOf} from '../app/named.js';
import {count} from '../app/number.js';
import {confirm} from '../app/dialog.js';
import {api} from '../app/place.js';
import {answered, badge, empty, filter, name, section} from '../app/ui.js';
import {editPolicy} from './policy-form.js';
import {colliding} from './policy-matches.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Policies',
  ask: (ctx) => ({
    policies: api('policies'),
    operator: api('operator-policies'),
    vhosts: ctx.session.may('make policies') ? api('vhosts', {}, {columns: 'name'}) : null,
  }),
  start: (ctx) => () => {
    ctx.state.isOver = true;
  },
  view: (ctx) => html`
    <p>A policy sets arguments of all queues and exchanges in whose names its pattern is found; of several, the one with
      the highest priority counts, whole. An operator policy limits what the others set.</p>
    <div class="toolbar">${filter(ctx, 'Filter by name')}</div>
    ${section(
      'Policies',
      answered(ctx, 'policies', (rows) => table(ctx, 'policies', rows), 4),
      {
        actions: ctx.session.may('make policies')
          ? html`<button type="button" class="button is-main" @click=${() => editPolicy(ctx, 'policies', null)}>Add a policy…</button>`
          : null,
      },
    )}
    ${section(
      'Operator policies',
      answered(ctx, 'operator', (rows) => table(ctx, 'operator-policies', rows), 2),
      {
        actions: ctx.session.may('make operator policies')
          ? html`<button type="button" class="button" @click=${() => editPolicy(ctx, 'operator-policies', null)}>Add an operator policy…</button>`
          : null,
      },
    )}`,
};

export default page;

/**
 * @param {Context} ctx
 * @param {'policies' | 'operator-policies'} kind
 * @param {any[]} rows
 */
function table(ctx, kind, rows) {
  if (rows.length === 0)
    return empty(
      'There is none',
      kind === 'policies' ? 'Queues and exchanges are as they were declared.' : 'Nothing limits what policies say.',
    );
  const act = kind === 'policies' ? 'make policies' : 'make operator policies';
  const may = rows.some(({vhost}) => ctx.session.may(act, {vhost}));
  const collisions = colliding(ctx, kind, rows);
  const wanted = (ctx.query.get('name') ?? '').toLowerCase();
  const shown = rows.filter((row) => `${row.name}\n${row.pattern}`.toLowerCase().includes(wanted));
  if (shown.length === 0) return html`<p class="quiet">None has this in its name or its pattern.</p>`;
  const sorted = shown.sort(
    (one, other) =>
      one.vhost.localeCompare(other.vhost) || other.priority - one.priority || one.name.localeCompare(other.name),
  );
  return html`<div class="table-scroll" tabindex="0" role="group" aria-label=${kind}><table class="free">
    <thead><tr><th scope="col">Name</th><th scope="col">Vhost</th><th scope="col">Pattern</th><th scope="col">Of</th><th scope="col" class="is-number">Priority</th><th scope="col">Sets</th>${may ? html`<th scope="col"><span class="hidden">Actions</span></th>` : null}</tr></thead>
    <tbody>${each(
      sorted,
      (row) => `${row.vhost} ${row.name}`,
      (row) => html`<tr>
      <td>${name(row.name)}${each(collisions?.found.get(keyOf(row)) ?? [], (one) => one.with, (one) => collision(row, one))}</td><td>${name(row.vhost)}</td><td><code>${name(row.pattern)}</code></td><td>${row['apply-to'].replace('_', ' ')}</td><td class="is-number">${row.priority}</td>
      <td>${each(
        Object.entries(row.definition),
        ([key]) => key,
        ([key, value]) =>
          html`${badge(name(`${key} = ${typeof value === 'string' ? value : JSON.stringify(value)}`))} `,
      )}</td>
      ${may ? html`<td class="is-number">${ctx.session.may(act, row) ? html`<button type="button" class="link" @click=${() => editPolicy(ctx, kind, row)}>Change…</button> <button type="button" class="link" @click=${() => remove(ctx, kind, row)}>Delete…</button>` : null}</td>` : null}
    </tr>`,
    )}</tbody>
  </table></div>
  ${collisions?.isWhole === false ? html`<p class="quiet">There are too many names to look through all of them for policies that collide.</p>` : null}`;
}

/**
 * @param {{name: string, priority: number}} row
 * @param {import('./policy-rules.js').Collision} one
 */
function collision(row, {with: other, example, count: many, isCounting}) {
  const where = many === 1 ? html`on <code>${name(example)}</code>` : html`on ${count(many)}, such as <code>${name(example)}</code>`;
  return html`<div class="beside">${badge('collides', 'bad', `Both have the priority ${row.priority} and match the same: the name that comes first counts`)}
    <span>with ${name(other)} ${where}: by its name ${isCounting ? 'this one' : name(other)} counts</span></div>`;
}

/**
 * @param {Context} ctx
 * @param {'policies' | 'operator-policies'} kind
 * @param {any} row
 */
async function remove(ctx, kind, row) {
  const answer = await confirm({
    title: `Delete the policy ${row.name}?`,
    text: html`<p>What it matched follows the next one of the highest priority, or what was declared: at once, limits included.</p>`,
    action: 'Delete',
  });
  if (answer !== null) await ctx.act('DELETE', api(`${kind}/:vhost/:name`, row), {done: `${row.name} is deleted.`});
}
