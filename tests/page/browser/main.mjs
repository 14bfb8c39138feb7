// Every scene in one browser, against the broker at LEVERET_URL. Prints a line for each that holds.
//
// A scene is `[name, play(browser), only]`, and is played once for each look: 1440 pixels in light and 390 in
// dark, with LEVERET_PAGE=full the other way round as well. `only` says which looks are left out, and why:
// `on` is the only size, `once` says that the scene has no look or all of them in itself.
//
// LEVERET_PAGE_ONLY names scenes by a part of their names and looks (`palette`, `390-dark`). What is seen is
// photographed where scenes are named so, in full, and where one fails.

import assert from 'node:assert/strict';

import {SCENES as admin} from './admin.mjs';
import {SCENES as clients, start} from './clients.mjs';
import {SCENES as exchanges} from './exchanges.mjs';
import {Browser, isFull, LOOKS} from './harness.mjs';
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
    const {name, look, play} = next;
    const started = performance.now();
    const told = () => `${name}, ${look.name} (${Math.round(performance.now() - started)} ms)`;
    try {
      await browser.lend(name, look, (lent) => within(play(lent)));
      console.log(`ok ${told()}`);
    } catch (error) {
      failures.push(`${name}, ${look.name}: ${error.stack ?? error}`);
      console.log(`FAILED ${told()}`);
    }
  }
}

// The looks in which a scene is played.
function looks(name, only) {
  if (only === undefined) return isFull ? LOOKS : LOOKS.slice(0, 2);
  assert.ok(only.why, `${name} says why it is not played in every look`);
  if (only.once) return LOOKS.slice(0, 1);
  const fitting = LOOKS.filter(({size}) => size === only.on);
  assert.ok(fitting.length > 0, `${name} has a size in which it is played`);
  return isFull ? fitting : fitting.slice(0, 1);
}

// All in the first look, then all in the next: what a scene made is seldom there when it is played again.
function played(scenes) {
  const all = scenes.flatMap(([name, play, only]) => looks(name, only).map((look) => ({name, look, play})));
  const ordered = LOOKS.flatMap((one) => all.filter(({look}) => look === one));
  return ordered.filter(({name, look}) => `${name}, ${look.name}`.includes(only));
}

const only = process.env.LEVERET_PAGE_ONLY ?? '';
const browser = await Browser.start(process.env.LEVERET_URL);
const failures = [];
let client;
try {
  await prepare(browser.api);
  client = await start(browser.api);
  const scenes = played([...parts, ...shell, ...pages, ...clients, ...admin, ...queues, ...messages, ...exchanges, ...rights]);
  await Promise.all(Array.from({length: AT_A_TIME}, () => work(scenes)));
} finally {
  await client?.close().catch(() => {});
  await browser.close();
}
// Last, where nobody overlooks it.
for (const failure of failures) console.error(failure);
console.log(failures.length === 0 ? 'done' : `${failures.length} failed`);
// Clients of scenes that failed may be connected still.
process.exit(failures.length === 0 ? 0 : 1);
