/**
 * Users: who there is, what they may administrate, and where they may go.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {count} from '../app/number.js';
import {ask} from '../app/ask.js';
import {listOf} from '../app/list.js';
import {api, href} from '../app/place.js';
import {badge, field, filter, name} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */

/** @type {[tag: string, may: string][]} */
const TAGS = [
  ['administrator', 'everything'],
  ['monitoring', 'see all that there is, and change nothing of others'],
  ['policymaker', 'make policies in its vhosts'],
  ['management', 'see and use what is in its vhosts'],
];

/** @param {Context} ctx */
const list = (ctx) => listOf(ctx, {path: 'users', columns: 'name,tags,hashing_algorithm,limits', sort: 'name'});

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Users',
  ask: (ctx) => ({...list(ctx).questions(), permissions: api('permissions', {}, {columns: 'user,vhost'})}),
  view: (ctx) => {
    const table = list(ctx);
    const vhosts = byUser(ctx.data.permissions ?? []);
    const view = table.view({
      label: 'Users',
      key: (row) => row.name,
      columns: [
        {
          id: 'name',
          title: 'Name',
          sorts: true,
          view: (row) => html`<a href=${href('/users/:name', row)}>${name(row.name)}</a>`,
        },
        {id: 'tags', title: 'Tags', sorts: true, width: '16rem', view: (row) => tags(row.tags)},
        {id: 'vhosts', title: 'Vhosts', wide: true, view: (row) => vhostList(vhosts.get(row.name))},
        {
          id: 'limits',
          title: 'Limits',
          isNumber: true,
          wide: true,
          width: '6rem',
          view: (row) => count(Object.keys(row.limits ?? {}).length),
        },
        {
          id: 'hashing_algorithm',
          title: 'Password hash',
          wide: true,
          width: '12rem',
          view: (row) => String(row.hashing_algorithm).replace('rabbit_password_hashing_', ''),
        },
      ],
      empty: 'No user has this in its name.',
    });
    return html`
      <div class="toolbar">${filter(ctx, 'Filter by name')}<span class="count">${table.counted('user')}</span>
        ${ctx.session.may('administrate') ? html`<button type="button" class="button is-main" @click=${() => editUser(ctx, null)}>Add a user…</button>` : null}
      </div>${view}`;
  },
};

export default page;

/**
 * @param {{user: string, vhost: string}[]} permissions
 * @returns {Map<string, string[]>}
 */
function byUser(permissions) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const {user, vhost} of permissions) found.set(user, [...(found.get(user) ?? []), vhost]);
  return found;
}

/** @param {string[] | undefined} vhosts */
function vhostList(vhosts) {
  if (vhosts === undefined) return badge('none', 'warn', 'It cannot open a connection');
  return name(vhosts.join(', '));
}

/** @param {string[]} all */
export function tags(all) {
  return all.length === 0
    ? '–'
    : each(
        all,
        (tag) => tag,
        (tag) => html`${badge(tag, tag === 'administrator' ? 'note' : 'plain')} `,
      );
}

/**
 * Makes a user, or changes one.
 *
 * @param {Context} ctx
 * @param {{name: string, tags: string[]} | null} user
 */
export function editUser(ctx, user) {
  return ask({
    title: user === null ? 'Add a user' : `Change ${user.name}`,
    action: user === null ? 'Add' : 'Change',
    fields: () => html`
      ${user === null ? field('u-name', 'Name', html`<input id="u-name" name="name" required autocomplete="off" autocapitalize="none" spellcheck="false">`) : null}
      ${field(
        'u-password',
        'Password',
        html`<input id="u-password" name="password" type="password" required=${user === null} autocomplete="new-password">`,
        {help: user === null ? null : 'Left empty it stays as it is; another one ends sessions of this page.'},
      )}
      <fieldset class="field"><legend class="label">Tags</legend>
        ${TAGS.map(([tag, may]) => html`<label class="check"><input type="checkbox" name="tag" value=${tag} checked=${user?.tags.includes(tag) ?? false}> <span><strong>${tag}</strong>: ${may}</span></label>`)}
      </fieldset>`,
    submit: async (data) => {
      const called = user?.name ?? String(data.get('name'));
      const own = user?.tags.filter((tag) => TAGS.every(([known]) => known !== tag)) ?? [];
      const all = [...data.getAll('tag').map(String), ...own].join(',');
      const password = String(data.get('password'));
      /** @type {Record<string, unknown>} */
      const body = {tags: all};
      if (password !== '') body.password = password;
      else if (user !== null) Object.assign(body, await currentHash(ctx, user.name));
      return ctx.change('PUT', api('users/:name', {name: called}), {
        body,
        done: user === null ? `${called} is there now, without a permission yet.` : `${called} is changed.`,
      });
    },
  });
}

/**
 * The password stays if its hash is given again.
 *
 * @param {Context} ctx
 * @param {string} user
 * @returns {Promise<object>}
 */
async function currentHash(ctx, user) {
  const {password_hash, hashing_algorithm} = await ctx.fetch(api('users/:name', {name: user}));
  return {password_hash, hashing_algorithm};
}
