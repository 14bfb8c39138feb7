/**
 * Limits of vhosts and users: all of them in one place, and a part of their own pages.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {bytes, count} from '../app/number.js';
import {ask} from '../app/ask.js';
import {api, href} from '../app/place.js';
import {answered, field, name, section} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {'user' | 'vhost'} Kind */

/** @type {Record<Kind, [key: string, title: string, format: (value: unknown) => string][]>} */
const KEYS = {
  vhost: [
    ['max-connections', 'Connections', count],
    ['max-queues', 'Queues', count],
    ['max-publish-rate', 'Messages published in a second', count],
    ['max-publish-byte-rate', 'Bytes published in a second', bytes],
    ['max-held-bytes', 'Bytes held before publishers wait', bytes],
  ],
  user: [
    ['max-connections', 'Connections', count],
    ['max-channels', 'Channels', count],
    ['max-publish-rate', 'Messages published in a second', count],
    ['max-publish-byte-rate', 'Bytes published in a second', bytes],
  ],
};

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Limits',
  ask: (ctx) => ({vhosts: api('vhost-limits'), users: ctx.session.is('administrator') ? api('user-limits') : null}),
  view: (ctx) => html`
    ${section(
      'Of vhosts',
      answered(ctx, 'vhosts', (rows) => all('vhost', rows), 3),
    )}
    ${
      ctx.session.is('administrator')
        ? section(
            'Of users',
            answered(ctx, 'users', (rows) => all('user', rows), 3),
          )
        : null
    }`,
};

export default page;

/**
 * @param {Kind} kind
 * @param {any[]} rows
 */
function all(kind, rows) {
  const limits = rows.flatMap((row) =>
    Object.entries(row.value ?? {}).map(([key, value]) => ({of: row[kind], key, value})),
  );
  if (limits.length === 0) return html`<p>No ${kind} has one. They are set on its page.</p>`;
  const page = kind === 'user' ? '/users/:name' : '/vhosts/:name';
  return html`<table class="plain-table">
    <thead><tr><th scope="col">${kind === 'user' ? 'User' : 'Vhost'}</th><th scope="col">What</th><th scope="col" class="is-number">At most</th></tr></thead>
    <tbody>${each(
      limits,
      ({of, key}) => `${of} ${key}`,
      ({of, key, value}) =>
        html`<tr><td><a href=${href(page, {name: of})}>${name(of)}</a></td><td>${titleOf(kind, key)}</td><td class="is-number">${formatted(kind, key, value)}</td></tr>`,
    )}</tbody>
  </table>`;
}

/**
 * @param {Kind} kind
 * @param {string} key
 * @returns {string}
 */
function titleOf(kind, key) {
  return KEYS[kind].find(([own]) => own === key)?.[1] ?? key;
}

/**
 * @param {Kind} kind
 * @param {string} key
 * @param {unknown} value
 * @returns {string}
 */
function formatted(kind, key, value) {
  const format = KEYS[kind].find(([own]) => own === key)?.[2] ?? count;
  return typeof value === 'number' && value < 0 ? 'no limit' : format(value);
}

/**
 * The limits of one of them, which may be changed.
 *
 * @param {Context} ctx
 * @param {Kind} kind
 * @param {string} of Its name.
 * @param {Record<string, number>} value
 */
export function limitsView(ctx, kind, of, value) {
  const may = ctx.session.may('administrate');
  return html`<table class="plain-table">
    <thead><tr><th scope="col">What</th><th scope="col" class="is-number">At most</th>${may ? html`<th scope="col"><span class="hidden">Actions</span></th>` : null}</tr></thead>
    <tbody>${each(
      KEYS[kind],
      ([key]) => key,
      ([key, title]) => html`<tr><td>${title}</td>
      <td class="is-number">${value[key] === undefined ? 'no limit' : formatted(kind, key, value[key])}</td>
      ${may ? html`<td><button type="button" class="link" @click=${() => edit(ctx, kind, of, [key, title], value[key])}>Change…</button></td>` : null}</tr>`,
    )}</tbody>
  </table>`;
}

/**
 * @param {Context} ctx
 * @param {Kind} kind
 * @param {string} of
 * @param {[key: string, title: string]} limit
 * @param {number | undefined} now
 */
function edit(ctx, kind, of, [key, title], now) {
  const path = api(`${kind}-limits/:name/:key`, {name: of, key});
  return ask({
    title: `${title} of ${of}`,
    action: 'Set',
    fields: () =>
      field(
        'l-value',
        'At most',
        html`<input id="l-value" name="value" inputmode="numeric" pattern="[0-9]*" autocomplete="off" value=${now ?? ''}>`,
        {help: 'A whole number; empty for no limit. 0 lets nothing in.'},
      ),
    submit: (data) => {
      const text = String(data.get('value')).trim();
      if (text === '') return ctx.change('DELETE', path, {done: `${of} has no such limit any more.`});
      return ctx.change('PUT', path, {body: {value: Number(text)}, done: `The limit of ${of} is ${text}.`});
    },
  });
}
