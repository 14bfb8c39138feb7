// Every page by itself: nothing goes wrong on it, at any width, in both themes, for every user.

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

const isFull = process.env.LEVERET_PAGE === 'full';

const [light, dark] = ['light', 'dark'];
const MEANT = [
  ['guest', WIDE, light],
  ['guest', PHONE, dark],
  [USERS.monitoring, WIDE, dark],
  [USERS.management, PHONE, light],
];
const EVERY = ['guest', USERS.monitoring, USERS.management, USERS.policymaker].flatMap((user) =>
  [WIDE, PHONE].flatMap((size) => [light, dark].map((scheme) => [user, size, scheme])),
);

// So many in a scene, which has to end within its time on a slow machine.
const IN_A_SCENE = 8;

function scenes([user, size, scheme]) {
  const parts = Array.from({length: Math.ceil(ADDRESSES.length / IN_A_SCENE)}, (_, n) => ADDRESSES.slice(n * IN_A_SCENE, (n + 1) * IN_A_SCENE));
  return parts.map((addresses) => [
    `pages ${user} ${size.width} ${scheme} from ${addresses[0][0]}`,
    async (browser) => {
      const window = await browser.open({user, size, scheme});
      await window.goto(addresses[0][1]);
      for (const [name, path] of addresses) {
        await window.follow(path);
        await window.check(`${name}-${user}-${size.width}-${scheme}`);
      }
      await window.close();
    },
  ]);
}

export const SCENES = (isFull ? EVERY : MEANT).flatMap(scenes);
