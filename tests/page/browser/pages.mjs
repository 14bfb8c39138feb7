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

function scene([user, size, scheme]) {
  return [
    `pages ${user} ${size.width} ${scheme}`,
    async (browser) => {
      const window = await browser.open({user, size, scheme});
      await window.goto(ADDRESSES[0][1]);
      for (const [name, path] of ADDRESSES) {
        await window.follow(path);
        await window.check(`${name}-${user}-${size.width}-${scheme}`);
      }
      await window.close();
    },
  ];
}

export const SCENES = (isFull ? EVERY : MEANT).map(scene);
