/**
 * The API, as the broker describes it itself: each thing that can be asked, and a way to try those that change nothing.
 *
 * @module
 */

import {each, html} from '../parts/html.js';
import {ApiError} from '../app/api.js';
import {PREFIX} from '../app/place.js';
import {answered, badge, field, filter, problem} from '../app/ui.js';

/** @typedef {import('../app/types.js').Context} Context */
/** @typedef {{method: string, path: string, of: any, parameters: string[]}} Operation */

/** @type {import('../app/types.js').Page} */
const page = {
  title: () => 'API',
  ask: (ctx) => ({document: ctx.state.document === undefined ? 'openapi.json' : null}),
  view: (ctx) => {
    ctx.state.document ??= ctx.data.document;
    ctx.data.document ??= ctx.state.document;
    return view(ctx);
  },
};

export default page;

/** @param {Context} ctx */
function view(ctx) {
  return html`
    <p>All that this page does is asked over this API. For programs: <a href=${`${PREFIX}/api/openapi.json`} target="_blank">openapi.json</a> (OpenAPI 3.1);
      they log in with <code>Authorization: Basic …</code>.</p>
    <div class="toolbar">${filter(ctx, 'Filter by path or text')}</div>
    ${answered(ctx, 'document', (document) => groups(ctx, document), 10)}`;
}

/**
 * @param {Context} ctx
 * @param {any} document
 */
function groups(ctx, document) {
  const wanted = (ctx.query.get('name') ?? '').toLowerCase();
  /** @type {Map<string, Operation[]>} */
  const all = new Map();
  for (const [path, of] of Object.entries(document.paths)) {
    const parameters = (of.parameters ?? []).map((/** @type {any} */ one) => one.name);
    for (const method of ['get', 'post', 'put', 'delete'].filter((one) => one in of)) {
      if (!`${method} ${path} ${of[method].summary}`.toLowerCase().includes(wanted)) continue;
      const [tag] = of[method].tags;
      all.set(tag, [...(all.get(tag) ?? []), {method, path, of: of[method], parameters}]);
    }
  }
  if (all.size === 0) return html`<p>Nothing has this in its path or its text.</p>`;
  return each(
    all,
    ([tag]) => tag,
    ([tag, operations]) => html`<section class="section" aria-label=${tag}>
    <div class="section-head"><h2>${tag}</h2></div>
    ${each(
      operations,
      ({method, path}) => `${method} ${path}`,
      (one) => operation(ctx, document, one),
    )}
  </section>`,
  );
}

/**
 * @param {Context} ctx
 * @param {any} document
 * @param {Operation} one
 */
function operation(ctx, document, one) {
  const {method, path, of} = one;
  const key = `${method} ${path}`;
  const isStream = 'text/event-stream' in (of.responses['200']?.content ?? {});
  return html`<details class="operation" @toggle=${(/** @type {Event} */ event) => {
    ctx.state[`open ${key}`] = /** @type {HTMLDetailsElement} */ (event.currentTarget).open;
    ctx.draw();
  }}>
    <summary>${badge(method.toUpperCase(), method === 'get' ? 'note' : method === 'delete' ? 'bad' : 'warn')} <code>${path}</code> <span>${of.summary}</span></summary>
    ${
      ctx.state[`open ${key}`]
        ? html`<div class="operation-more">
      ${of.description ? html`<p>${of.description}</p>` : null}
      ${body(document, of)}
      ${method === 'get' && !isStream ? trial(ctx, one) : html`<pre tabindex="0">${curl(one)}</pre>`}
    </div>`
        : null
    }
  </details>`;
}

/**
 * @param {any} document
 * @param {any} of
 */
function body(document, of) {
  const schema = of.requestBody?.content?.['application/json']?.schema;
  if (schema === undefined) return null;
  const found = schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1)];
  return html`<h3>Body</h3><pre tabindex="0">${JSON.stringify(found, null, 2)}</pre>`;
}

/**
 * @param {Operation} one
 * @returns {string}
 */
function curl({method, path}) {
  return `curl -u USER:PASSWORD -X ${method.toUpperCase()} ${location.origin}${PREFIX}${path}`;
}

/**
 * @param {Context} ctx
 * @param {Operation} one
 */
function trial(ctx, {path, parameters}) {
  const key = `trial ${path}`;
  const answer = ctx.state[key];
  const send = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const filled = parameters.reduce(
      (text, name) => text.replace(`{${name}}`, encodeURIComponent(String(data.get(name)))),
      path,
    );
    ctx.state[key] = await ctx.fetch(filled.replace(/^\/api\//, '')).catch((/** @type {unknown} */ error) => error);
    ctx.draw();
  };
  if (!path.startsWith('/api/')) return null;
  return html`<form class="form" @submit=${send}>
    ${parameters.length === 0 ? null : html`<div class="form-grid">${parameters.map((name) => field(`o-${path}-${name}`, name, html`<input id=${`o-${path}-${name}`} name=${name} required autocomplete="off" spellcheck="false">`))}</div>`}
    <div class="row"><button class="button">Try it</button></div>
    ${answer === undefined ? null : answer instanceof ApiError ? problem(answer) : html`<pre tabindex="0" class="answer">${JSON.stringify(answer, null, 2).slice(0, 20_000)}</pre>`}
  </form>`;
}
