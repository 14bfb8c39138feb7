/**
 * Begins: asks who is signed in, and shows the shell or the way in.
 *
 * @module
 */

import {render} from '../parts/html.js';
import {ApiError} from './api.js';
import {ofRabbit} from './moved.js';
import {BASE} from './place.js';
import {current} from './session.js';
import {Shell} from './shell.js';
import {refusal, signIn, unreachable} from './sign-in.js';

const top = /** @type {HTMLElement} */ (document.getElementById('page'));

// Read before the address changes.
let refused = refusal();

// Links to RabbitMQ's page lead to what shows the same.
const moved = ofRabbit(location.hash);
if (moved !== null) history.replaceState(null, '', BASE + moved);
else if (!location.pathname.startsWith(`${BASE}/`)) history.replaceState(null, '', `${BASE}/overview`);

/** @type {Shell | null} */
let shell = null;

async function begin() {
  try {
    const session = await current();
    if (session === null) ask('');
    else show(session);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    document.title = 'Leveret';
    render(unreachable(error), top);
    setTimeout(begin, 2000);
  }
}

/** @param {import('./session.js').Session} session */
function show(session) {
  shell = new Shell(session, top, ask);
  shell.start();
}

/** @param {string} why */
function ask(why) {
  shell?.stop();
  shell = null;
  document.title = 'Sign in · Leveret';
  signIn(top, why, show, refused);
  refused = null;
}

begin();
