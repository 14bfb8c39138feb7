/**
 * One vhost: what is in it, who may enter, and its limits.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {bytes, count, rate} from '../app/number.js';
import {confirm} from '../app/dialog.js';
import {api, href} from '../app/place.js';
import {answered, empty, name, readout, section} from '../app/ui.js';
import {limitsView} from './limits.js';
import {pattern} from './user.js';
import {editVhost, marks} from './vhosts.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {import('../app/types.js').Page} */
const page = {
  title: (ctx) => ctx.params.name,
  hasOwnHead: true,
  ask: (ctx) => ({
    vhost: api('vhosts', {}, {name: `^${escaped(ctx.params.name)}$`, use_regex: true, page: 1, page_size: 10}),
    permissions: ctx.session.is('administrator') ? api('vhosts/:name/permissions', ctx.params) : null,
    limits: api('vhost-limits/:name', ctx.params),
    queues: api('queues/:name', ctx.params, {page: 1, page_size: 1, columns: 'name'}),
  }),
  view: (ctx) => {
    const vhost = ctx.data.vhost?.items.find((/** @type {any} */ one) => one.name === ctx.params.name);
    if (ctx.data.vhost !== undefined && vhost === undefined) {
      return html`<h1>${name(ctx.params.name)}</h1>${empty('There is no such vhost', 'It may have been deleted, or you may not enter it.', html`<a class="button" href=${href('/vhosts')}>To the vhosts</a>`)}`;
    }
    return html`
      <header class="page-head"><h1>${name(ctx.params.name)}</h1>${vhost === undefined ? null : html`<div class="row">${marks(vhost)}</div>`}
        ${ctx.session.may('administrate') && vhost !== undefined ? actions(ctx, vhost) : null}</header>
      ${vhost?.description ? html`<p>${name(vhost.description)}</p>` : null}
      ${answered(ctx, 'vhost', () => figures(vhost, ctx), 2)}
      ${ctx.session.is('administrator') ? section('Who may enter', answered(ctx, 'permissions', permissions, 3), {text: 'granted on the pages of the users'}) : null}
      ${section(
        'Limits',
        answered(ctx, 'limits', (rows) => limitsView(ctx, 'vhost', ctx.params.name, rows[0]?.value ?? {}), 5),
      )}`;
  },
};

export default page;

/**
 * @param {string} text
 * @returns {string} A regular expression for just this.
 */
function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

/**
 * @param {any} vhost
 * @param {Context} ctx
 */
function figures(vhost, ctx) {
  return readout([
    {label: 'Queues', value: count(ctx.data.queues?.total_count)},
    {label: 'Ready', value: count(vhost.messages_ready)},
    {label: 'Unacknowledged', value: count(vhost.messages_unacknowledged)},
    {label: 'Published', value: rate(vhost.message_stats?.publish_details?.rate), unit: '/s'},
    {label: 'Delivered', value: rate(vhost.message_stats?.deliver_get_details?.rate), unit: '/s'},
    {label: 'Received', value: bytes(vhost.recv_oct_details?.rate), unit: '/s'},
    {label: 'Sent', value: bytes(vhost.send_oct_details?.rate), unit: '/s'},
  ]);
}

/** @param {any[]} rows */
function permissions(rows) {
  if (rows.length === 0) return html`<p>Nobody may enter.</p>`;
  return html`<table class="plain-table">
    <thead><tr><th scope="col">User</th><th scope="col">Configure</th><th scope="col">Write</th><th scope="col">Read</th></tr></thead>
    <tbody>${each(
      rows,
      ({user}) => user,
      (row) => html`<tr><td><a href=${href('/users/:name', {name: row.user})}>${name(row.user)}</a></td>
      <td>${pattern(row.configure)}</td><td>${pattern(row.write)}</td><td>${pattern(row.read)}</td></tr>`,
    )}</tbody>
  </table>`;
}

/**
 * @param {Context} ctx
 * @param {any} vhost
 */
function actions(ctx, vhost) {
  const path = api('vhosts/:name/deletion/protection', vhost);
  const isProtected = vhost.protected_from_deletion;
  const protect = () =>
    ctx.act(isProtected ? 'DELETE' : 'POST', path, {
      done: isProtected ? `${vhost.name} may be deleted now.` : `${vhost.name} is protected.`,
    });
  return html`<div class="actions">
    <button type="button" class="button" @click=${() => editVhost(ctx, vhost)}>Change…</button>
    <button type="button" class="button" @click=${protect}>${isProtected ? 'Lift protection' : 'Protect from deletion'}</button>
    ${ctx.session.may('delete vhost', {isProtected}) ? html`<button type="button" class="button is-bad" @click=${() => remove(ctx, vhost)}>Delete…</button>` : null}
  </div>`;
}

/**
 * @param {Context} ctx
 * @param {any} vhost
 */
async function remove(ctx, vhost) {
  const answer = await confirm({
    title: `Delete the vhost ${vhost.name}?`,
    text: html`<p>${count(ctx.data.queues?.total_count)} queues with ${count(vhost.messages)} messages are deleted with it, its exchanges, policies and permissions,
      and connections to it are closed.</p>`,
    action: 'Delete',
    typed: vhost.name,
  });
  if (answer !== null)
    await ctx.act('DELETE', api('vhosts/:name', vhost), {done: `${vhost.name} is deleted.`, go: '/vhosts'});
}
