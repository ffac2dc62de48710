// The entry point: receives the stream of events.

import { byId, element, moment, setText } from './dom.js';
import { showFaults } from './faults.js';
import { showRequests } from './requests.js';
import { announcement } from './rotation.js';
import { chosen, showSecret, showSecrets } from './secrets.js';
import { draw, onDraw, state } from './state.js';

for (const part of [showSecrets, showSecret, showRequests, showFaults]) onDraw(part);

const KEPT_REQUESTS = 200;
const KEPT_ROTATIONS = 500;

function tick() {
  const { now, frozen } = state.clock;
  const seconds = frozen ? now : now + (performance.now() - state.clockHeard) / 1000;
  if (now) {
    setText(byId('now'), `${moment(seconds)} UTC`);
    byId('now').dateTime = new Date(seconds * 1000).toISOString();
  }
  byId('frozen').hidden = !frozen;
}

function hearClock(clock) {
  state.clock = clock;
  state.clockHeard = performance.now();
  tick();
}

const numberOf = (entries) => entries.at(-1)?.number ?? 0;

function keep(entries, entry, most) {
  // An entry added between the subscription and the snapshot arrives twice.
  if (entry.number <= numberOf(entries)) return false;
  entries.push(entry);
  if (entries.length > most) entries.shift();
  return true;
}

const hear = {
  everything(all) {
    state.control = all.control;
    state.faults = all.faults;
    state.secrets = new Map(all.secrets.map((secret) => [secret.arn, secret]));
    state.requests = all.requests;
    state.rotations = all.rotations;
    hearClock(all.clock);
    for (const part of document.querySelectorAll('.control')) part.hidden = !all.control;
    for (const part of document.querySelectorAll('.needs-control')) part.hidden = all.control;
  },
  secret: (secret) => state.secrets.set(secret.arn, secret),
  removed: ({ arn }) => state.secrets.delete(arn),
  request: (request) => keep(state.requests, request, KEPT_REQUESTS),
  rotation(entry) {
    if (!keep(state.rotations, entry, KEPT_ROTATIONS)) return;
    const said = announcement(entry, chosen());
    if (said) setText(byId('announcer'), said);
  },
  faults: ({ faults }) => {
    state.faults = faults;
  },
  clock: hearClock,
};

function connected(is) {
  byId('connection').replaceChildren(
    element('span', { className: is ? 'dot on' : 'dot', 'aria-hidden': 'true' }),
    is ? 'Live' : 'The endpoint is unreachable; reconnecting',
  );
}

const feed = new EventSource('/_page/feed');
feed.onopen = () => connected(true);
feed.onerror = () => connected(false);
for (const [name, take] of Object.entries(hear)) {
  feed.addEventListener(name, (event) => {
    take(JSON.parse(event.data));
    draw();
  });
}
setText(byId('endpoint'), location.origin);
setInterval(tick, 250);
