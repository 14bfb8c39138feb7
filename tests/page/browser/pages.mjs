// Every page by itself: nothing goes wrong on it, at any width, in both themes, for every user.

import assert from 'node:assert/strict';

import {listed, NAME} from './clients.mjs';
import {PHONE, WIDE} from './harness.mjs';
import {USERS} from './prepare.mjs';

// A page that is added is added here: its address, and who may see it if not everybody.
export const ADDRESSES = [
  ['overview', '/overview'],
  ['design', '/design'],
  ['nowhere', '/nowhere'],
  ['connections', '/connections'],
  ['channels', '/channels'],
  ['consumers', '/consumers'],
  ['node', '/node'],
  ['exchanges', '/exchanges'],
  ['exchanges-graph', '/exchanges?part=graph'],
  ['exchange', '/exchanges/%2F/amq.topic'],
  ['exchange-route', '/exchanges/%2F/page%20orders.eu?part=route&key=orders.eu'],
  ['queues', '/queues'],
  ['queue', '/queues/%2F/orders.eu'],
  ['queue-of-messages', '/queues/%2F/orders.eu?part=messages&state=unacked'],
  ['queue-of-bindings', '/queues/%2F/orders.eu?part=bindings'],
  ['queue-of-arguments', '/queues/%2F/orders.eu?part=arguments'],
  ['events', '/events'],
  ['log', '/log'],
  ['users', '/users'],
  ['user', '/users/guest'],
  ['vhosts', '/vhosts'],
  ['vhost', '/vhosts/%2F'],
  ['policies', '/policies'],
  ['limits', '/limits'],
  ['definitions', '/definitions'],
  ['api', '/api'],
];

// Where the names of what is there are only known when it is there.
async function details(api) {
  const connection = await listed(api, NAME);
  return [
    ['connection', `/connections/${encodeURIComponent(connection)}`],
    ['channel', `/channels/${encodeURIComponent(`${connection} (1)`)}`],
  ];
}

const isFull = process.env.LEVERET_PAGE === 'full';

// Each page is opened once for each of them, and then seen in both themes at both widths as it stands.
const PEOPLE = ['guest', USERS.monitoring, USERS.management];
// What axe looks at in one theme and at one width; the frame around the pages is the same on all of them.
const LOOKS = [
  {size: WIDE, scheme: 'light', axe: {within: '#content'}},
  {size: WIDE, scheme: 'dark'},
  // What another theme and another width can change.
  {size: PHONE, scheme: 'dark', axe: {within: '#content', rules: ['color-contrast', 'scrollable-region-focusable', 'link-in-text-block']}},
  {size: PHONE, scheme: 'light'},
];

// What axe has seen of each page, by how it was looked at: another user's is looked at where there is more to see.
const seen = new Set();

async function hasNews(page, name, n) {
  const kinds = await page.evaluate(() => {
    const all = [...document.querySelectorAll('#content *')];
    const kind = (one) => [one.tagName, one.getAttribute('class'), one.getAttribute('role'), ...one.getAttributeNames()].join(' ');
    return [...new Set(all.map(kind))];
  });
  const news = kinds.map((kind) => `${name} ${n} ${kind}`).filter((kind) => !seen.has(kind));
  for (const kind of news) seen.add(kind);
  return news.length > 0;
}

async function look(window, name, n, isShot) {
  const {size, scheme, axe} = LOOKS[n];
  const {page} = window;
  await page.emulateMedia({colorScheme: scheme});
  await page.setViewportSize(size);
  // Elements that draw themselves at their own width do so in a frame or two.
  await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, {timeout: 2000}).catch(() => {});
  const isLooked = axe !== undefined && (await hasNews(page, name, n));
  await window.check(`${name}-${window.user}-${size.width}-${scheme}`, {axe: isLooked && axe, shot: isShot && axe !== undefined});
}

// So many in a scene, which has to end within its time on a slow machine.
const IN_A_SCENE = 10;

function scenes(user) {
  const parts = Array.from({length: Math.ceil(ADDRESSES.length / IN_A_SCENE)}, (_, n) => ADDRESSES.slice(n * IN_A_SCENE, (n + 1) * IN_A_SCENE));
  return parts.map((part, n) => [
    `pages ${user} from ${part[0][0]}`,
    async (browser) => {
      const window = Object.assign(await browser.open({user, interval: 0}), {user});
      // Others' connections are not for management users.
      const addresses = n === 0 && user !== USERS.management ? [...part, ...(await details(browser.api))] : part;
      await window.goto(addresses[0][1]);
      for (const [name, path] of addresses) {
        await window.follow(path);
        for (let at = 0; at < LOOKS.length; at += 1) await look(window, name, at, user === 'guest' || isFull);
      }
      // The frame, once in each theme.
      for (const at of [0, 2]) {
        await window.page.setViewportSize(LOOKS[at].size);
        await window.page.emulateMedia({colorScheme: LOOKS[at].scheme});
        assert.deepEqual(await window.breaches({within: '.bar, .rail'}), [], `the frame as ${user}`);
      }
      await window.close();
    },
  ]);
}

export const SCENES = (isFull ? [...PEOPLE, USERS.policymaker] : PEOPLE).flatMap(scenes);
