// Faults and the clock, which need `--control`.

import { byId, control, element, reconcile, setText } from './dom.js';
import { state } from './state.js';

const EFFECTS = {
  error: { error: { type: 'InternalServiceError', message: 'Injected from the page', status: 500 } },
  stale: { stale: { seconds: 30 } },
};

export function showFaults() {
  reconcile(
    byId('faults'),
    state.faults,
    (fault) => fault.id,
    makeFault,
    (row, fault) => {
      const hits = Math.max(0, fault.seen - fault.after);
      setText(row.children[1], fault.times ? `${Math.min(hits, fault.times)} of ${fault.times}` : `${hits} so far`);
    },
  );
  const { frozen } = state.clock;
  byId('freeze').setAttribute('aria-pressed', String(frozen));
}

function makeFault(fault) {
  const words = describe(fault);
  const off = element('button', { type: 'button', 'aria-label': `Switch off: ${words}` }, 'Off');
  off.addEventListener('click', () => attempt(() => control('DELETE', `faults/${fault.id}`)));
  return element('li', {}, element('span', {}, words), element('span', { className: 'count' }), off);
}

function describe({ effect, delay_ms, operations, secret_id }) {
  const what = !effect
    ? `delayed by ${delay_ms} ms`
    : typeof effect === 'string'
      ? effect
      : effect.error
        ? effect.error.type
        : `reads from ${effect.stale.seconds} s ago`;
  const where = operations.length ? operations.join(', ') : 'all requests';
  return `${what}: ${where}${secret_id ? ` of ${secret_id}` : ''}`;
}

async function attempt(work) {
  setText(byId('fault-error'), '');
  try {
    await work();
  } catch (error) {
    setText(byId('fault-error'), error.message);
  }
}

byId('fault').addEventListener('submit', (event) => {
  event.preventDefault();
  const kind = byId('fault-effect').value;
  const operation = byId('fault-operation').value;
  const times = byId('fault-times').valueAsNumber;
  attempt(() =>
    control('POST', 'faults', {
      ...(kind === 'delay' ? { delay_ms: 1000 } : { effect: EFFECTS[kind] ?? kind }),
      ...(operation ? { operations: [operation] } : {}),
      ...(times > 0 ? { times } : {}),
    }),
  );
});
byId('reset').addEventListener('click', () => attempt(() => control('POST', 'reset', {})));
byId('freeze').addEventListener('click', () =>
  attempt(() => control('POST', 'clock', { freeze: !state.clock.frozen })),
);
for (const button of document.querySelectorAll('[data-advance]')) {
  button.addEventListener('click', () =>
    attempt(() => control('POST', 'clock', { advance_seconds: Number(button.dataset.advance) })),
  );
}
