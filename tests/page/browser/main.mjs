// Every scene in one browser, against the broker at LEVERET_URL. Prints a line for each that holds.
//
// LEVERET_PAGE_ONLY names scenes by a part of their names; LEVERET_PAGE=full looks at every page at every
// width, in both themes and as every user, which takes minutes.

import {SCENES as admin} from './admin.mjs';
import {SCENES as clients, start} from './clients.mjs';
import {SCENES as exchanges} from './exchanges.mjs';
import {Browser} from './harness.mjs';
import {SCENES as messages} from './messages.mjs';
import {prepare} from './prepare.mjs';
import {SCENES as pages} from './pages.mjs';
import {SCENES as parts} from './parts.mjs';
import {SCENES as queues} from './queues.mjs';
import {SCENES as rights} from './rights.mjs';
import {SCENES as shell} from './shell.mjs';

// A scene that waits for what does not come fails, and the others have their turn.
const SCENE_MS = 180_000;

function within(scene) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`not within ${SCENE_MS} ms`)), SCENE_MS);
  });
  return Promise.race([scene, late]).finally(() => clearTimeout(timer));
}

// Most of a scene waits for the browser or for the next round of questions.
const AT_A_TIME = 3;

async function work(scenes) {
  for (let next = scenes.shift(); next !== undefined; next = scenes.shift()) {
    const [name, scene] = next;
    const started = performance.now();
    try {
      await browser.lend(name, (lent) => within(scene(lent)));
      console.log(`ok ${name} (${Math.round(performance.now() - started)} ms)`);
    } catch (error) {
      failures.push(`${name}: ${error.stack ?? error}`);
      console.log(`FAILED ${name} (${Math.round(performance.now() - started)} ms)`);
    }
  }
}

const only = process.env.LEVERET_PAGE_ONLY ?? '';
const browser = await Browser.start(process.env.LEVERET_URL);
const failures = [];
let client;
try {
  await prepare(browser.api);
  client = await start(browser.api);
  const scenes = [...parts, ...shell, ...pages, ...clients, ...admin, ...queues, ...messages, ...exchanges, ...rights].filter(([name]) => name.includes(only));
  await Promise.all(Array.from({length: AT_A_TIME}, () => work(scenes)));
} finally {
  await client?.close().catch(() => {});
  await browser.close();
}
// Last, where nobody overlooks it.
for (const failure of failures) console.error(failure);
console.log(failures.length === 0 ? 'done' : `${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
