/**
 * Questions that must be answered before something is done.
 *
 * @module
 */

import {html, render} from '../parts/html.js';

/**
 * Asks whether something shall be done.
 *
 * @param {object} question
 * @param {string} question.title `Delete the queue orders?`
 * @param {unknown} question.text What will happen, with counts.
 * @param {string} question.action The word on the button, the same as in the title.
 * @param {string} [question.typed] What has to be typed first: the name of what will be gone.
 * @param {unknown} [question.fields] More to be filled in; their values are in the answer.
 * @param {boolean} [question.isHarmless] Nothing is lost by it.
 * @returns {Promise<FormData | null>} Null if not.
 */
export function confirm({title, text, action, typed, fields, isHarmless = false}) {
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', 'dialog-title');
  /** @type {FormData | null} */
  let answer = null;
  let word = '';
  const draw = () => {
    const isReady = typed === undefined || word === typed;
    render(
      html`<form method="dialog" class="dialog" @submit=${(/** @type {SubmitEvent} */ event) => {
        if (!isReady) event.preventDefault();
        else answer = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
      }}>
        <h2 id="dialog-title"><bdi>${title}</bdi></h2>
        <div>${text}</div>
        ${fields}
        ${
          typed === undefined
            ? null
            : html`<div class="field">
          <label for="dialog-typed">Type <bdi><code>${typed}</code></bdi> to confirm</label>
          <input id="dialog-typed" autocomplete="off" autocapitalize="none" spellcheck="false"
            @input=${(/** @type {InputEvent} */ event) => {
              word = /** @type {HTMLInputElement} */ (event.currentTarget).value;
              draw();
            }}>
        </div>`
        }
        <div class="actions">
          <button type="button" class="button" @click=${() => dialog.close()}>Cancel</button>
          <button class=${`button is-main ${isHarmless ? '' : 'is-bad'}`} disabled=${!isReady}>${action}</button>
        </div>
      </form>`,
      dialog,
    );
  };
  draw();
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(answer);
    });
  });
}
