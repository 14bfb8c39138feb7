// Every page by itself: nothing goes wrong on it in any look, for every user.

import assert from 'node:assert/strict';

import {listed, NAME} from './clients.mjs';
import {LOOKS} from './harness.mjs';
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

// Each page is opened once for each of them, and then seen in every look as it stands.
const PEOPLE = ['guest', USERS.monitoring, USERS.management, USERS.policymaker];
// Who sees others' connections, too.
const SEES_ALL = ['guest', USERS.monitoring];
// From one look to the next one thing changes, and the page is laid out anew twice and not thrice.
const ORDER = [LOOKS[0], LOOKS[2], LOOKS[1], LOOKS[3]];

// What axe has seen of each page, by how it was looked at: another user's is looked at where there is more to see.
const seen = new Set();

async function hasNews(page, name) {
  const kinds = await page.evaluate(() => {
    const all = [...document.querySelectorAll('#content *')];
    const kind = (one) => [one.tagName, one.getAttribute('class'), one.getAttribute('role'), ...one.getAttributeNames()].join(' ');
    return [...new Set(all.map(kind))];
  });
  const news = kinds.map((kind) => `${name} ${kind}`).filter((kind) => !seen.has(kind));
  for (const kind of news) seen.add(kind);
  return news.length > 0;
}

async function see(window, name, look) {
  await window.turn(look);
  // The frame around the pages is the same on all of them.
  const axe = (await hasNews(window.page, `${name} ${look.name}`)) && {within: '#content'};
  await window.check(`${name}-${window.user}`, {axe});
}

// So many in a scene, which has to end within its time on a slow machine.
const IN_A_SCENE = 7;

function scenes(user) {
  const parts = Array.from({length: Math.ceil(ADDRESSES.length / IN_A_SCENE)}, (_, n) => ADDRESSES.slice(n * IN_A_SCENE, (n + 1) * IN_A_SCENE));
  return parts.map((part, n) => [
    `pages ${user} from ${part[0][0]}`,
    async (browser) => {
      const window = Object.assign(await browser.open({user, interval: 0}), {user});
      const addresses = n === 0 && SEES_ALL.includes(user) ? [...part, ...(await details(browser.api))] : part;
      await window.goto(addresses[0][1]);
      for (const [name, path] of addresses) {
        await window.follow(path);
        for (const look of ORDER) await see(window, name, look);
      }
      for (const look of n === 0 ? ORDER : []) {
        await window.turn(look);
        assert.deepEqual(await window.breaches({within: '.bar, .rail'}), [], `the frame as ${user}, ${look.name}`);
      }
      await window.close();
    },
    {once: true, why: 'it has every look in itself'},
  ]);
}

export const SCENES = PEOPLE.flatMap(scenes);
