/**
 * One user: its tags, what it may do in which vhost, and a tester of that.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {ask} from '../app/ask.js';
import {confirm} from '../app/dialog.js';
import {api, href} from '../app/place.js';
import {answered, badge, empty, field, name, section} from '../app/ui.js';
import {limitsView} from './limits.js';
import {allows} from '../app/permission-rules.js';
import {editUser, tags} from './users.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {import('../app/types.js').Page} */
const page = {
  title: (ctx) => ctx.params.name,
  hasOwnHead: true,
  ask: (ctx) => ({
    user: api('users/:name', ctx.params, {columns: 'name,tags,hashing_algorithm'}),
    permissions: api('users/:name/permissions', ctx.params),
    topics: api('users/:name/topic-permissions', ctx.params),
    limits: api('user-limits/:name', ctx.params),
    vhosts: api('vhosts', {}, {columns: 'name'}),
  }),
  view: (ctx) => html`
    <header class="page-head"><h1>${name(ctx.params.name)}</h1>
      ${ctx.data.user === undefined ? null : html`<div class="row">${tags(ctx.data.user.tags)}</div>`}
      ${
        ctx.session.may('administrate') && ctx.data.user !== undefined
          ? html`<div class="actions">
        <button type="button" class="button" @click=${() => editUser(ctx, ctx.data.user)}>Change…</button>
        <button type="button" class="button is-bad" @click=${() => remove(ctx)}>Delete…</button></div>`
          : null
      }
    </header>
    ${ctx.errors.user?.kind === 'gone' ? empty('There is no such user', 'It may have been deleted.', html`<a class="button" href=${href('/users')}>To the users</a>`) : null}
    ${section(
      'Permissions',
      answered(ctx, 'permissions', (rows) => permissions(ctx, rows), 3),
      {
        text: 'regular expressions over names of queues and exchanges, by vhost',
        actions: ctx.session.may('administrate')
          ? html`<button type="button" class="button" @click=${() => edit(ctx, null)}>Grant…</button>`
          : null,
      },
    )}
    ${section(
      'May it?',
      answered(ctx, 'permissions', (rows) => tester(ctx, rows), 3),
      {text: 'tries a name against what is granted'},
    )}
    ${section(
      'Topics',
      answered(ctx, 'topics', (rows) => topics(ctx, rows), 2),
      {
        text: 'regular expressions over routing keys, by exchange; without one every key is allowed',
        actions: ctx.session.may('administrate')
          ? html`<button type="button" class="button" @click=${() => editTopic(ctx)}>Restrict…</button>`
          : null,
      },
    )}
    ${section(
      'Limits',
      answered(ctx, 'limits', (rows) => limitsView(ctx, 'user', ctx.params.name, rows[0]?.value ?? {}), 3),
    )}`,
};

export default page;

/**
 * @param {Context} ctx
 * @param {any[]} rows
 */
function permissions(ctx, rows) {
  if (rows.length === 0) return html`<p>It may enter no vhost, and so open no connection.</p>`;
  const may = ctx.session.may('administrate');
  return html`<div class="table-scroll" tabindex="0" role="group" aria-label="Permissions"><table class="free">
    <thead><tr><th scope="col">Vhost</th><th scope="col">Configure</th><th scope="col">Write</th><th scope="col">Read</th>${may ? html`<th scope="col"><span class="hidden">Actions</span></th>` : null}</tr></thead>
    <tbody>${each(
      rows,
      ({vhost}) => vhost,
      (row) => html`<tr>
      <td>${name(row.vhost)}</td>
      ${['configure', 'write', 'read'].map((right) => html`<td>${pattern(row[right])}</td>`)}
      ${may ? html`<td><button type="button" class="link" @click=${() => edit(ctx, row)}>Change…</button> <button type="button" class="link" @click=${() => revoke(ctx, row)}>Revoke…</button></td>` : null}
    </tr>`,
    )}</tbody>
  </table></div>`;
}

/** @param {string} text */
export function pattern(text) {
  return text === '' || text === '^$' ? badge('nothing') : html`<code>${name(text)}</code>`;
}

/**
 * @param {Context} ctx
 * @param {any[]} rows
 */
function tester(ctx, rows) {
  const asked = ctx.query.get('try') ?? '';
  const cell = (/** @type {any} */ row, /** @type {string} */ right) => {
    const granted = allows(row[right], asked);
    return html`<td>${granted === null ? badge('cannot be tried', 'warn') : granted ? badge('yes', 'good') : badge('no', 'bad')}</td>`;
  };
  return html`
    ${field(
      't-name',
      'A queue or an exchange',
      html`<input id="t-name" autocomplete="off" spellcheck="false" .value=${asked}
      @input=${(/** @type {Event} */ event) => ctx.setQuery({try: /** @type {HTMLInputElement} */ (event.currentTarget).value})}>`,
      {help: 'The default exchange is amq.default'},
    )}
    ${
      asked === '' || rows.length === 0
        ? null
        : html`<table class="plain-table">
      <thead><tr><th scope="col">In the vhost</th><th scope="col">Declare, delete</th><th scope="col">Publish, bind</th><th scope="col">Consume, get</th></tr></thead>
      <tbody>${each(
        rows,
        ({vhost}) => vhost,
        (row) =>
          html`<tr><td>${name(row.vhost)}</td>${cell(row, 'configure')}${cell(row, 'write')}${cell(row, 'read')}</tr>`,
      )}</tbody>
    </table>`
    }`;
}

/**
 * @param {Context} ctx
 * @param {any[]} rows
 */
function topics(ctx, rows) {
  if (rows.length === 0) return html`<p>Every routing key is allowed.</p>`;
  const may = ctx.session.may('administrate');
  const remove = (/** @type {any} */ row) =>
    ctx.act('DELETE', api('topic-permissions/:vhost/:user/:exchange', row), {
      done: `Keys of ${row.exchange} are not restricted any more.`,
    });
  return html`<table class="plain-table">
    <thead><tr><th scope="col">Vhost</th><th scope="col">Exchange</th><th scope="col">Write</th><th scope="col">Read</th>${may ? html`<th scope="col"><span class="hidden">Actions</span></th>` : null}</tr></thead>
    <tbody>${each(
      rows,
      ({vhost, exchange}) => `${vhost} ${exchange}`,
      (
        row,
      ) => html`<tr><td>${name(row.vhost)}</td><td>${name(row.exchange)}</td><td>${pattern(row.write)}</td><td>${pattern(row.read)}</td>
      ${may ? html`<td><button type="button" class="link" @click=${() => remove(row)}>Lift</button></td>` : null}</tr>`,
    )}</tbody>
  </table>`;
}

/**
 * @param {Context} ctx
 * @param {any | null} row What is granted already.
 */
function edit(ctx, row) {
  const right = (/** @type {string} */ key, /** @type {string} */ title, /** @type {string} */ help) =>
    field(
      `p-${key}`,
      title,
      html`<input id=${`p-${key}`} name=${key} autocomplete="off" spellcheck="false" value=${row?.[key] ?? '.*'}>`,
      {help},
    );
  return ask({
    title:
      row === null
        ? `Grant ${ctx.params.name} permissions`
        : `Change permissions of ${ctx.params.name} in ${row.vhost}`,
    action: row === null ? 'Grant' : 'Change',
    text: html`<p>Each is a regular expression over names; empty allows nothing.</p>`,
    fields: () => html`
      ${row === null ? field('p-vhost', 'Vhost', html`<select id="p-vhost" name="vhost">${(ctx.data.vhosts ?? []).map((/** @type {any} */ one) => html`<option value=${one.name}>${one.name}</option>`)}</select>`) : null}
      ${right('configure', 'Configure', 'Declare and delete')} ${right('write', 'Write', 'Publish, and bind queues')} ${right('read', 'Read', 'Consume, get, purge, and bind exchanges')}`,
    submit: (data) => {
      const vhost = row?.vhost ?? String(data.get('vhost'));
      const body = Object.fromEntries(['configure', 'write', 'read'].map((key) => [key, String(data.get(key))]));
      return ctx.change('PUT', api('permissions/:vhost/:name', {vhost, ...ctx.params}), {
        body,
        done: `Permissions in ${vhost} are as given.`,
      });
    },
  });
}

/**
 * @param {Context} ctx
 * @param {any} row
 */
async function revoke(ctx, row) {
  const answer = await confirm({
    title: `Revoke permissions of ${row.user} in ${row.vhost}?`,
    text: html`<p>It cannot enter the vhost any more. Connections that are open may do nothing there.</p>`,
    action: 'Revoke',
  });
  if (answer !== null)
    await ctx.act('DELETE', api('permissions/:vhost/:user', row), {done: `${row.user} may not enter ${row.vhost}.`});
}

/** @param {Context} ctx */
function editTopic(ctx) {
  return ask({
    title: `Restrict routing keys for ${ctx.params.name}`,
    action: 'Restrict',
    fields: () => html`
      ${field('x-vhost', 'Vhost', html`<select id="x-vhost" name="vhost">${(ctx.data.vhosts ?? []).map((/** @type {any} */ one) => html`<option value=${one.name}>${one.name}</option>`)}</select>`)}
      ${field('x-exchange', 'Exchange', html`<input id="x-exchange" name="exchange" required autocomplete="off" spellcheck="false" value="amq.topic">`)}
      ${field('x-write', 'Keys it may publish with', html`<input id="x-write" name="write" autocomplete="off" spellcheck="false" value=".*">`)}
      ${field('x-read', 'Keys it may bind with', html`<input id="x-read" name="read" autocomplete="off" spellcheck="false" value=".*">`, {help: '{username}, {vhost} and {client_id} stand for what they name'})}`,
    submit: (data) => {
      const of = (/** @type {string} */ key) => String(data.get(key));
      const body = {exchange: of('exchange'), write: of('write'), read: of('read')};
      return ctx.change('PUT', api('topic-permissions/:vhost/:name', {vhost: of('vhost'), ...ctx.params}), {
        body,
        done: `Keys of ${of('exchange')} are restricted.`,
      });
    },
  });
}

/** @param {Context} ctx */
async function remove(ctx) {
  const user = ctx.params.name;
  const answer = await confirm({
    title: `Delete the user ${user}?`,
    text: html`<p>${(ctx.data.permissions ?? []).length} permissions go with it. Its connections stay open until they end, and may do nothing more.</p>`,
    action: 'Delete',
    typed: user,
  });
  if (answer !== null)
    await ctx.act('DELETE', api('users/:name', ctx.params), {done: `${user} is deleted.`, go: '/users'});
}
