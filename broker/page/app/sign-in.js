/**
 * Signing in, with the reason when it did not work. The password goes to the broker and stays nowhere.
 *
 * @module
 */

import {html, render} from '../parts/html.js';
import {ApiError} from './api.js';
import {asset, PREFIX} from './place.js';
import {enter, ways} from './session.js';

/**
 * Why nobody came back signed in from where somebody else knows the users, and what to do.
 *
 * @type {Record<string, [string, string]>}
 */
const REFUSED = {
  stale: ['That sign-in is not good any more.', 'Begin it again here, in this window.'],
  denied: ['The provider signed nobody in.', 'Try again, and allow what it asks there.'],
  unreachable: ['The provider cannot be asked.', "The broker's log says why. Try again in a while."],
  token: ['The provider knows you, and its token is not good here.', "The broker's log says why: leveret auth explain tries a token."],
  untagged: ['The provider knows you, and gives no tag that lets you in.', 'An administrator gives the scope: tag:management, tag:monitoring, …'],
};

/** @returns {[string, string] | null} Told once: the address is that of the page afterwards. */
export function refusal() {
  return REFUSED[new URLSearchParams(location.search).get('refused') ?? ''] ?? null;
}

/**
 * @param {HTMLElement} top
 * @param {string} why Why it is asked for, if that needs saying.
 * @param {(session: import('./session.js').Session) => void} entered
 * @param {[string, string] | null} [refused] Why it did not work elsewhere.
 */
export async function signIn(top, why, entered, refused = null) {
  let isBusy = false;
  /** @type {ApiError | null} */
  let wrong = null;
  let told = refused;
  let tried = '';

  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const given = new FormData(form);
    tried = String(given.get('user'));
    isBusy = true;
    wrong = null;
    told = null;
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

  // Who cannot be asked how takes a password, and says what is wrong then.
  const how = await ways().catch(() => ({password: true, provider: null}));
  const draw = () =>
    render(view({why, problem: wrong === null ? told : explained(wrong, tried), isBusy, submit, how}), top);
  draw();
  top.querySelector('input')?.focus();
}

/**
 * @param {{why: string, problem: [string, string] | null, isBusy: boolean,
 *   submit: (event: SubmitEvent) => void, how: {password: boolean, provider: string | null}}} state
 */
function view({why, problem, isBusy, submit, how}) {
  const wrong = problem === null ? null : html`<div class="problem"><strong>${problem[0]}</strong><span>${problem[1]}</span></div>`;
  return html`
    <main class="enter"><div class="enter-box">
      <div class="enter-head">
        <img src=${asset('mark.svg')} alt="">
        <div><h1>Leveret</h1><p>${location.host}</p></div>
      </div>
      ${how.provider === null ? null : elsewhere(how.provider, how.password ? null : why)}
      ${how.password ? withPassword({why, wrong, isBusy, submit}) : html`<div role="alert">${wrong}</div>`}
      <p class="enter-foot">Who wants to sign in needs one of the tags administrator, monitoring, policymaker
        and management.</p>
    </div></main>`;
}

/**
 * @param {string} provider
 * @param {string | null} why
 */
function elsewhere(provider, why) {
  const origin = encodeURIComponent(location.origin);
  return html`${why ? html`<p role="status">${why}</p>` : null}
    <a class="button is-main enter-elsewhere" href=${`${PREFIX}/api/session/oauth?origin=${origin}`}>Sign in with ${provider}</a>`;
}

/**
 * @param {{why: string, wrong: unknown, isBusy: boolean, submit: (event: SubmitEvent) => void}} state
 */
function withPassword({why, wrong, isBusy, submit}) {
  return html`
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
      <div id="wrong" role="alert">${wrong}</div>
      <div class="row"><button class="button is-main" disabled=${isBusy}>${isBusy ? 'Signing in…' : 'Sign in'}</button></div>
    </form>`;
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
