/**
 * Vhosts: what is in them and goes through them.
 *
 * @module
 */

import {html} from '../parts/html.js';
import {count, rate} from '../app/number.js';
import {ask} from '../app/ask.js';
import {listOf} from '../app/list.js';
import {api, href} from '../app/place.js';
import {badge, field, filter, name} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */

const COLUMNS =
  'name,description,tags,default_queue_type,messages_ready,messages_unacknowledged,protected_from_deletion,tracing,message_stats.publish_details.rate,message_stats.deliver_get_details.rate';

/** @param {Context} ctx */
const list = (ctx) => listOf(ctx, {path: 'vhosts', columns: COLUMNS, sort: 'name'});

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'Vhosts',
  ask: (ctx) => list(ctx).questions(),
  view: (ctx) => {
    const table = list(ctx);
    const view = table.view({
      label: 'Vhosts',
      key: (row) => row.name,
      columns: [
        {
          id: 'name',
          title: 'Name',
          sorts: true,
          view: (row) => html`<a href=${href('/vhosts/:name', row)}>${name(row.name)}</a>`,
        },
        {
          id: 'description',
          title: 'Description',
          sorts: true,
          wide: true,
          view: (row) => (row.description ? name(row.description) : '–'),
        },
        {id: 'marks', title: 'State', sorts: true, sortsBy: 'protected_from_deletion', sortsDown: true, wide: true, width: '10rem', view: marks},
        {
          id: 'default_queue_type',
          title: 'Queues are',
          sorts: true,
          wide: true,
          width: '7rem',
          view: (row) => row.default_queue_type ?? '–',
        },
        {
          id: 'messages_ready',
          title: 'Ready',
          sorts: true,
          isNumber: true,
          width: '7rem',
          view: (row) => count(row.messages_ready),
        },
        {
          id: 'messages_unacknowledged',
          title: 'Unacked',
          sorts: true,
          isNumber: true,
          wide: true,
          width: '7rem',
          view: (row) => count(row.messages_unacknowledged),
        },
        {
          id: 'message_stats.publish_details.rate',
          title: 'In, /s',
          sorts: true,
          isNumber: true,
          width: '6rem',
          view: (row) => rate(row.message_stats?.publish_details?.rate ?? 0),
        },
        {
          id: 'message_stats.deliver_get_details.rate',
          title: 'Out, /s',
          sorts: true,
          isNumber: true,
          wide: true,
          width: '6rem',
          view: (row) => rate(row.message_stats?.deliver_get_details?.rate ?? 0),
        },
      ],
      empty: ctx.query.get('name') ? 'No vhost has this in its name.' : 'There is no vhost that you may enter.',
    });
    return html`
      <div class="toolbar">${filter(ctx, 'Filter by name')}<span class="count">${table.counted('vhost')}</span>
        ${ctx.session.may('administrate') ? html`<button type="button" class="button is-main" @click=${() => editVhost(ctx, null)}>Add a vhost…</button>` : null}
      </div>${view}`;
  },
};

export default page;

/** @param {any} row */
export function marks(row) {
  return html`${row.protected_from_deletion ? badge('protected', 'note', 'It cannot be deleted') : null} ${row.tracing ? badge('traced', 'warn', 'Every message is copied to amq.rabbitmq.trace') : null}`;
}

/**
 * Makes a vhost, or changes one.
 *
 * @param {Context} ctx
 * @param {any} vhost
 */
export function editVhost(ctx, vhost) {
  // There are no streams here, so that nobody could declare a queue without its type.
  const types = ['classic', 'quorum', ...(vhost?.default_queue_type === 'stream' ? ['stream'] : [])];
  return ask({
    title: vhost === null ? 'Add a vhost' : `Change ${vhost.name}`,
    action: vhost === null ? 'Add' : 'Change',
    fields: () => html`
      ${vhost === null ? field('v-name', 'Name', html`<input id="v-name" name="name" required autocomplete="off" autocapitalize="none" spellcheck="false">`) : null}
      ${field('v-description', 'Description', html`<input id="v-description" name="description" autocomplete="off" value=${vhost?.description ?? ''}>`)}
      ${field('v-tags', 'Tags', html`<input id="v-tags" name="tags" autocomplete="off" value=${(vhost?.tags ?? []).join(', ')}>`, {help: 'Words of your own, with commas between them'})}
      ${field('v-type', 'Queues are', html`<select id="v-type" name="default_queue_type">${types.map((type) => html`<option value=${type} selected=${vhost?.default_queue_type === type}>${type}</option>`)}</select>`, {help: 'Where whoever declares one does not say'})}
      <label class="check"><input type="checkbox" name="tracing" checked=${vhost?.tracing ?? false}> Trace every message (costs throughput)</label>`,
    submit: (data) => {
      const called = vhost?.name ?? String(data.get('name'));
      const of = (/** @type {string} */ key) => String(data.get(key));
      const body = {
        description: of('description'),
        tags: of('tags').replaceAll(' ', ''),
        default_queue_type: of('default_queue_type'),
        tracing: data.get('tracing') !== null,
      };
      return ctx.change('PUT', api('vhosts/:name', {name: called}), {
        body,
        done: vhost === null ? `${called} is there now.` : `${called} is changed.`,
      });
    },
  });
}
