// The list of requests, the latest first.

import { byId, element, reconcile, setText, timeOf } from './dom.js';
import { chosen } from './secrets.js';
import { draw, state } from './state.js';

/** While paused, the number of the last request shown. */
let pausedAt = null;

export function showRequests() {
  const secret = byId('only-chosen').checked ? chosen() : undefined;
  const shown = state.requests.filter(
    (request) =>
      (pausedAt === null || request.number <= pausedAt) &&
      (!secret || request.secret_id === secret.name || request.secret_id === secret.arn),
  );
  reconcile(byId('requests'), shown.toReversed(), (request) => request.number, makeRow);
  const waiting = pausedAt === null ? 0 : state.requests.filter((request) => request.number > pausedAt).length;
  setText(byId('requests-count'), waiting ? `${waiting} more` : '');
}

function makeRow(request) {
  const isGood = request.outcome === 'ok';
  const what = [request.version_stage, request.version_id].filter(Boolean).join(' ');
  return element(
    'li',
    { className: isGood ? '' : 'bad' },
    timeOf(request.time),
    ' ',
    element('strong', {}, request.operation),
    ' ',
    element('span', { className: 'subject' }, [request.secret_id, what].filter(Boolean).join(' ')),
    ' ',
    element('span', { className: 'outcome' }, isGood ? 'ok' : request.outcome),
    request.why ? element('span', { className: 'why' }, request.why) : '',
  );
}

byId('pause').addEventListener('click', (event) => {
  pausedAt = pausedAt === null ? (state.requests.at(-1)?.number ?? 0) : null;
  event.target.setAttribute('aria-pressed', String(pausedAt !== null));
  draw();
});
byId('only-chosen').addEventListener('change', draw);
