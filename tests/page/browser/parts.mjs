// The modules under `parts` that need a DOM, in a real one.

import assert from 'node:assert/strict';

// Runs in the page, which has its modules where its own script is.
async function inPage(browser, script, argument) {
  const window = await browser.open({user: null});
  await window.goto('/overview');
  const top = await window.page.evaluate(() => new URL('..', document.querySelector('script[type=module]').src).href);
  const result = await window.page.evaluate(script, {top, argument});
  assert.deepEqual(window.wrong, []);
  await window.close();
  return result;
}

const NO_LOOK = {once: true, why: 'it is of nodes, however they look'};

export const SCENES = [
  [
    'parts html shows text as text',
    async (browser) => {
      const shown = await inPage(
        browser,
        async ({top, argument}) => {
          const {html, render} = await import(`${top}parts/html.js`);
          const box = document.createElement('div');
          render(html`<p title=${argument}>${argument}</p><input .value=${argument}>`, box);
          return [
            box.querySelector('p').textContent,
            box.querySelector('p').title,
            box.querySelector('input').value,
            box.querySelectorAll('*').length,
          ];
        },
        '<img src=x onerror=alert(1)>&amp;',
      );
      const text = '<img src=x onerror=alert(1)>&amp;';
      assert.deepEqual(shown, [text, text, text, 2]);
    },
    NO_LOOK,
  ],

  [
    'parts html keeps elements',
    async (browser) => {
      const kept = await inPage(browser, async ({top}) => {
        const {each, html, render} = await import(`${top}parts/html.js`);
        const box = document.createElement('ul');
        document.body.append(box);
        const draw = (keys, extra) =>
          render(
            html`${each(
              keys,
              (key) => key,
              (key) => html`<li><input value=${key}></li>`,
            )}${extra}`,
            box,
          );
        draw(['a', 'b', 'c'], null);
        const before = [...box.querySelectorAll('li')];
        box.querySelectorAll('input')[1].focus();
        draw(['c', 'b', 'd', 'a'], html`<li>last</li>`);
        const after = [...box.querySelectorAll('li')];
        const order = after.map((item) => item.querySelector('input')?.value ?? item.textContent);
        const isSame = [after[0] === before[2], after[1] === before[1], after[3] === before[0]];
        const hasFocus = document.activeElement === after[1].querySelector('input');
        draw([], null);
        return {order, isSame, hasFocus, left: box.querySelectorAll('*').length};
      });
      assert.deepEqual(kept, {
        order: ['c', 'b', 'd', 'a', 'last'],
        isSame: [true, true, true],
        hasFocus: true,
        left: 0,
      });
    },
    NO_LOOK,
  ],

  [
    'parts html has attributes, listeners and other templates',
    async (browser) => {
      const seen = await inPage(browser, async ({top}) => {
        const {html, render, svg} = await import(`${top}parts/html.js`);
        const box = document.createElement('div');
        const heard = [];
        const view = (n, isOn) => html`
          <i title=${isOn ? 'x' : null} class="a ${n} b" hidden=${!isOn} css=${{width: `${n}px`}}
            @click=${() => heard.push(n)}>${isOn ? html`<b>on</b>` : 'off'}</i>
          <svg>${svg`<path d="M0 0"/>`}</svg>`;
        const states = [];
        for (const [n, isOn] of [
          [1, true],
          [2, false],
          [3, true],
        ]) {
          render(view(n, isOn), box);
          const a = box.querySelector('i');
          a.click();
          states.push([a.getAttribute('title'), a.className, a.hidden, a.style.width, a.textContent]);
        }
        return {states, heard, space: box.querySelector('path').namespaceURI};
      });
      assert.deepEqual(seen.states, [
        ['x', 'a 1 b', false, '1px', 'on'],
        [null, 'a 2 b', true, '2px', 'off'],
        ['x', 'a 3 b', false, '3px', 'on'],
      ]);
      assert.deepEqual(seen.heard, [1, 2, 3]);
      assert.equal(seen.space, 'http://www.w3.org/2000/svg');
    },
    NO_LOOK,
  ],

  [
    'parts table has the rows that are to be seen, and arrow keys',
    async (browser) => {
      const window = await browser.open();
      await window.goto('/design');
      const {page} = window;
      const table = page.locator('data-table');
      assert.ok((await table.locator('tbody tr').count()) < 80);
      assert.equal(await table.locator('table').getAttribute('aria-rowcount'), '10001');
      // Rows are higher where fingers have to hit them.
      await table.locator('.table-scroll').evaluate((scroller) => {
        scroller.scrollTo(0, 5000 * scroller.querySelector('tr[data-row]').offsetHeight);
      });
      await table.getByRole('link', {name: 'orders.05000'}).waitFor();
      await table.getByRole('button', {name: 'Ready'}).click();
      await page.waitForURL('**/design?sort=-ready');
      await table.locator('.table-scroll').evaluate((scroller) => scroller.scrollTo(0, 0));
      await table.locator('tr[data-row="0"] a').focus();
      for (let n = 0; n < 60; n += 1) await page.keyboard.press('ArrowDown');
      const focused = await page.evaluate(() => document.activeElement.closest('tr').dataset.row);
      assert.equal(focused, '60');
      const served = await table.evaluate(async (element) => {
        const scroller = element.querySelector('.table-scroll');
        const rows = () => [...element.querySelectorAll('tr[data-row]')];
        const shown = rows().length;
        const before = rows();
        const focused = document.activeElement.closest('tr');
        scroller.scrollTo(0, 200_000);
        element.scrolled();
        const waiting = () => element.querySelectorAll('.is-waiting').length;
        const first = waiting();
        // What one frame has no time for comes in those after it.
        for (let n = 0; n < 60 && waiting() > 0; n += 1) await new Promise(requestAnimationFrame);
        const texts = rows().map((row) => row.dataset.row);
        return {
          shown,
          first,
          then: waiting(),
          again: rows().filter((row) => before.includes(row)).length,
          focused: rows().includes(focused),
          inOrder: texts.every((text, n) => Number(text) === Number(texts[0]) + n),
        };
      });
      // Rows that were scrolled away serve others, but for the one with the focus.
      assert.ok(served.first > 0 && served.first < served.shown, JSON.stringify(served));
      assert.deepEqual([served.then, served.again], [0, served.shown - 1], 'rows serve again');
      assert.deepEqual([served.focused, served.inOrder], [false, true]);
      const taken = await table.evaluate((element) => {
        const scroller = element.querySelector('.table-scroll');
        return Array.from({length: 60}, (_, n) => {
          const started = performance.now();
          scroller.scrollTo(0, n * 4000);
          element.scrolled();
          return scroller.offsetHeight > 0 ? performance.now() - started : 0;
        });
      });
      // What rows take to be drawn and laid out where nothing else has the processor in between: of twenty, one.
      const alone = taken.sort((one, other) => one - other)[2];
      assert.ok(alone < 50, `rows took ${alone} ms`);
      await window.check('parts-table', {axe: false});
      await window.close();
    },
  ],

  [
    'parts chart shows a moment',
    async (browser) => {
      const window = await browser.open();
      await window.goto('/design');
      const chart = window.page.locator('time-chart');
      await chart.locator('.chart-plot').focus();
      await window.page.keyboard.press('ArrowLeft');
      await window.page.keyboard.press('ArrowLeft');
      assert.match(await chart.locator('.chart-when').textContent(), /^\s*\d\d:\d\d:\d\d\s*$/);
      assert.equal(await chart.locator('.chart-cursor').count(), 1);
      // What happened then is told, close by as one, and to who only hears it.
      assert.equal(await chart.locator('.chart-event').count(), 2);
      assert.equal(await chart.locator('.chart-note').count(), 0);
      for (let n = 0; n < 120 && (await chart.locator('.chart-note', {hasText: 'before 2'}).count()) === 0; n += 1) await window.page.keyboard.press('ArrowLeft');
      assert.match(await chart.locator('.chart-note').textContent(), /^\d\d:\d\d:\d\d 1 consumer, before 2\n\d\d:\d\d:\d\d Its consumers are paused: upgrade$/);
      assert.match(await chart.locator('.chart-plot').getAttribute('aria-label'), / Happened: .*before 2, .*upgrade; .*go on\.$/);
      await chart.getByRole('button', {name: /Delivered/}).click();
      assert.equal(await chart.locator('.chart-line').count(), 2);
      await window.check('parts-chart', {axe: false});
      await window.close();
    },
  ],

  [
    'parts chart narrows the time it shows',
    async (browser) => {
      const window = await browser.open();
      const {page} = window;
      await window.goto('/overview');
      const plot = page.locator('.chart-plot').first();
      const first = () => plot.locator('.chart-mark[text-anchor="middle"]').count();
      assert.ok((await first()) > 0);
      const box = await plot.boundingBox();
      await window.drag([box.x + box.width / 2, box.y + 60], [box.x + box.width - 20, box.y + 60], async () => {
        await plot.locator('.chart-dragged').waitFor();
        await window.check('parts-chart-dragged', {axe: false, shot: false});
      });
      // The other chart of the page shows the same time.
      await page.waitForFunction(() => document.querySelectorAll('.chart-legend .link').length === 2);
      await window.check('parts-chart-narrow');
      await plot.focus();
      await page.keyboard.press('Escape');
      await page.waitForFunction(() => document.querySelectorAll('.chart-legend .link').length === 0);
      await page.keyboard.press('+');
      await page.getByRole('button', {name: 'Whole time'}).first().click();
      await page.waitForFunction(() => document.querySelectorAll('.chart-legend .link').length === 0);
      await window.close();
    },
  ],
];
