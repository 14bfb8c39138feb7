/**
 * A form in a dialog, which stays open with what was typed until the broker has taken it.
 *
 * @module
 */

import {html, render} from '../parts/html.js';
import {ApiError} from './api.js';
import {problem} from './ui.js';

/**
 * @param {unknown} error
 * @returns {ApiError}
 */
function thrown(error) {
  if (error instanceof ApiError) return error;
  throw error;
}

/**
 * @param {object} form
 * @param {string} form.title `Add a user`
 * @param {string} form.action The word on the button.
 * @param {(redraw: () => void) => unknown} form.fields Drawn again when they ask for it.
 * @param {(data: FormData, how: {isOpen: () => boolean, redraw: () => void}) => Promise<ApiError | null>} form.submit What is wrong,
 *   if something is. What takes long looks whether somebody closed the form meanwhile.
 * @param {unknown} [form.text]
 * @param {boolean} [form.isWide]
 * @param {boolean} [form.isLong] It takes a while, and ends when the form is closed.
 * @returns {Promise<boolean>} Whether it was done.
 */
export function ask({title, action, fields, submit, text, isWide = false, isLong = false}) {
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', 'ask-title');
  if (isWide) dialog.className = 'is-wide';
  let isDone = false;
  let isBusy = false;
  /** @type {ApiError | null} */
  let wrong = null;

  const send = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    isBusy = true;
    wrong = null;
    draw();
    wrong = await submit(data, {isOpen: () => dialog.open, redraw: draw}).catch(thrown);
    isBusy = false;
    if (!dialog.open) return;
    isDone = wrong === null;
    if (isDone) dialog.close();
    else draw();
  };

  const draw = () =>
    render(
      html`<form class="dialog" @submit=${send}>
        <h2 id="ask-title"><bdi>${title}</bdi></h2>
        ${text ? html`<div>${text}</div>` : null}
        ${fields(draw)}
        ${wrong === null ? null : problem(wrong)}
        <div class="actions">
          <button type="button" class="button" @click=${() => dialog.close()}>${isBusy && isLong ? 'Stop' : 'Cancel'}</button>
          <button class="button is-main" disabled=${isBusy}>${action}</button>
        </div>
      </form>`,
      dialog,
    );

  draw();
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(isDone);
    });
  });
}
