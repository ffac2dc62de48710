/** Logins for drivers that open connections on their own. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { require } from './support.mjs';

const { Handover } = require('../lib/handover.js');

/** A fake secret whose attempts try one login after another until they are ended. */
function secret() {
  const attempts = [];
  return {
    attempts,
    connect(open) {
      const attempt = { tried: 0 };
      attempts.push(attempt);
      return new Promise((_, reject) => {
        attempt.end = () => reject(new Error('took too long'));
        const go = () => open({ username: `attempt ${attempts.length}`, password: `${(attempt.tried += 1)}` }).catch(go);
        go();
      });
    },
  };
}

it('continues to the next login only when the driver asks for it, so that it is up to date', async () => {
  const { attempts, connect } = secret();
  const handover = new Handover({ connect });
  assert.equal((await handover.login()).password, '1');
  assert.equal((await handover.login()).password, '1');
  handover.refused(new Error('refused'));
  await turn();
  assert.equal(attempts[0].tried, 1);
  assert.equal((await handover.login()).password, '2');
  assert.equal((await handover.login()).password, '2');
});

it('starts a new attempt if the old one has ended when the driver asks for the next login', async () => {
  const { attempts, connect } = secret();
  const handover = new Handover({ connect });
  await handover.login();
  handover.refused(new Error('refused'));
  attempts[0].end();
  await turn();
  assert.deepEqual(await handover.login(), { username: 'attempt 2', password: '1' });
});
