// Every scene in one browser, against the broker at LEVERET_URL. Prints a line for each that holds.
//
// LEVERET_PAGE_ONLY names scenes by a part of their names; LEVERET_PAGE=full looks at every page at every
// width, in both themes and as every user, which takes minutes.

import {Browser} from './harness.mjs';
import {prepare} from './prepare.mjs';
import {SCENES as pages} from './pages.mjs';
import {SCENES as parts} from './parts.mjs';
import {SCENES as shell} from './shell.mjs';

const only = process.env.LEVERET_PAGE_ONLY ?? '';
const browser = await Browser.start(process.env.LEVERET_URL);
let failures = 0;
try {
  await prepare(browser.api);
  for (const [name, scene] of [...parts, ...shell, ...pages].filter(([name]) => name.includes(only))) {
    const started = performance.now();
    try {
      await scene(browser);
      console.log(`ok ${name} (${Math.round(performance.now() - started)} ms)`);
    } catch (error) {
      failures += 1;
      console.error(`${name}: ${error.stack ?? error}`);
    }
  }
} finally {
  await browser.close();
}
console.log(failures === 0 ? 'done' : `${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
