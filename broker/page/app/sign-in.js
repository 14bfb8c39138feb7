/**
 * Signing in, with the reason when it did not work. The password goes to the broker and stays nowhere.
 *
 * @module
 */

import {html, render} from '../parts/html.js';
import {ApiError} from './api.js';
import {asset} from './place.js';
import {enter} from './session.js';

/**
 * @param {HTMLElement} top
 * @param {string} why Why it is asked for, if that needs saying.
 * @param {(session: import('./session.js').Session) => void} entered
 */
export function signIn(top, why, entered) {
  let isBusy = false;
  /** @type {ApiError | null} */
  let wrong = null;
  let tried = '';

  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const given = new FormData(form);
    tried = String(given.get('user'));
    isBusy = true;
    wrong = null;
    draw();
    try {
      entered(await enter(tried, String(given.get('password'))));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      wrong = error;
      isBusy = false;
      draw();
      const field = form.elements.namedItem('password');
      if (field instanceof HTMLInputElement) field.select();
    }
  };

  const draw = () => render(view({why, wrong, isBusy, tried, submit}), top);
  draw();
  top.querySelector('input')?.focus();
}

/**
 * @param {{why: string, wrong: ApiError | null, isBusy: boolean, tried: string,
 *   submit: (event: SubmitEvent) => void}} state
 */
function view({why, wrong, isBusy, tried, submit}) {
  return html`
    <main class="enter"><div class="enter-box">
      <div class="enter-head">
        <img src=${asset('mark.svg')} alt="">
        <div><h1>Leveret</h1><p>${location.host}</p></div>
      </div>
      <form @submit=${submit}>
        ${why === '' ? null : html`<p role="status">${why}</p>`}
        <div class="field">
          <label for="user">User</label>
          <input id="user" name="user" autocomplete="username" autocapitalize="none" spellcheck="false" required>
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input id="password" name="password" type="password" autocomplete="current-password" required
            aria-describedby="wrong">
        </div>
        <div id="wrong" role="alert">${wrong === null ? null : problem(wrong, tried)}</div>
        <div class="row"><button class="button is-main" disabled=${isBusy}>${isBusy ? 'Signing in…' : 'Sign in'}</button></div>
      </form>
      <p class="enter-foot">Who wants to sign in needs one of the tags administrator, monitoring, policymaker
        and management.</p>
    </div></main>`;
}

/**
 * @param {ApiError} error
 * @param {string} user
 */
function problem(error, user) {
  const [what, then] = explained(error, user);
  return html`<div class="problem"><strong>${what}</strong><span>${then}</span></div>`;
}

/**
 * @param {ApiError} error
 * @param {string} user
 * @returns {[string, string]} What is wrong, and what to do.
 */
function explained(error, user) {
  if (error.kind === 'lost') return ['The broker does not answer.', error.advice];
  if (error.reason === 'User can only log in via localhost') {
    return [
      `${user} may sign in from the broker's own machine alone.`,
      'Sign in as another user, or make one there: leveret ctl add_user.',
    ];
  }
  if (error.reason === 'Not management user') {
    return [
      `The password is right, and ${user} has no tag that lets it in.`,
      `An administrator gives it one: leveret ctl set_user_tags ${user} management.`,
    ];
  }
  if (error.kind === 'refused') {
    return ['User and password do not fit together.', 'After several wrong ones each answer takes longer.'];
  }
  return [error.reason, error.advice];
}

/** @param {ApiError} error */
export function unreachable(error) {
  return html`
    <main class="enter"><div class="enter-box">
      <div class="enter-head"><img src=${asset('mark.svg')} alt=""><div><h1>Leveret</h1><p>${location.host}</p></div></div>
      <div class="problem" role="alert"><strong>${error.reason}</strong><span>${error.advice}</span></div>
    </div></main>`;
}
