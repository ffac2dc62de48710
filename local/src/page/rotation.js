// The steps of a secret's latest rotation, and its history.

import { byId, element, label, moment, reconcile, setText, short, timeOf } from './dom.js';
import { state } from './state.js';

const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];
const MEANING = {
  createSecret: 'a new version is stored as AWSPENDING',
  setSecret: 'the server gets the new password',
  testSecret: 'it logs in',
  finishSecret: 'AWSCURRENT moves to the new version',
};
const WORDS = { waiting: 'waiting', started: 'under way', done: 'done', failed: 'failed' };

export function showRotation(secret) {
  const { rotation } = secret;
  const entries = state.rotations.filter((entry) => entry.secret_arn === secret.arn);
  setText(byId('rotation-facts'), facts(secret));
  const steps = latestSteps(entries);
  byId('steps').hidden = !steps;
  reconcile(
    byId('steps'),
    steps ?? [],
    (step) => step.name,
    (step) =>
      element(
        'li',
        {},
        element('span', { className: 'step-name' }, step.name),
        element('span', { className: 'step-state' }),
        element('span', { className: 'step-meaning' }, MEANING[step.name]),
      ),
    (item, step) => {
      item.className = step.state;
      setText(item.children[1], WORDS[step.state]);
    },
  );
  setText(byId('rotation-outcome'), outcome(entries, rotation));
  byId('rotation-outcome').classList.toggle('error', isFailure(lastEvent(entries)?.event));
  const canRotate = Boolean(rotation?.function) && !secret.deletion && !secret.primary;
  byId('rotate').disabled = !canRotate;
  byId('next-rotation').hidden = !state.control || !rotation?.enabled || !(rotation.next || rotation.underway);
  reconcile(
    byId('history'),
    entries.toReversed(),
    (entry) => entry.number,
    (entry) =>
      element(
        'li',
        { className: isFailure(entry.event) || entry.state === 'failed' ? 'bad' : '' },
        timeOf(entry.time),
        ' ',
        ...entryText(entry),
      ),
  );
}

function facts({ rotation, primary }) {
  if (primary) return 'A replica changes with its primary.';
  if (!rotation?.function) {
    return "No rotation is configured: call RotateSecret with a RotationLambdaARN, such as that of one of AWS's templates.";
  }
  const name = rotation.function.split(':function:').at(-1);
  const rules = rotation.rules ?? {};
  const schedule =
    rules.ScheduleExpression ?? (rules.AutomaticallyAfterDays && `every ${rules.AutomaticallyAfterDays} days`);
  if (!rotation.enabled) return `${name}, switched off`;
  const next = rotation.next ? `, next from ${moment(rotation.next.opens)} UTC` : '';
  return `${name}${schedule ? `, ${schedule}` : ''}${next}`;
}

/** Returns the four steps of the latest rotation in `entries`; null if there is none. */
function latestSteps(entries) {
  const began = entries.findLastIndex((entry) => entry.step && entry.state === 'started' && entry.step === STEPS[0]);
  if (began < 0) return null;
  const states = new Map(STEPS.map((name) => [name, 'waiting']));
  for (const entry of entries.slice(began)) {
    if (entry.kind === 'step') states.set(entry.step, entry.state);
  }
  return STEPS.map((name) => ({ name, state: states.get(name) }));
}

const lastEvent = (entries) => entries.findLast((entry) => entry.kind === 'event');
const isFailure = (event) => /Failed|Abandoned/.test(event ?? '');

function outcome(entries, rotation) {
  const last = lastEvent(entries);
  if (!last) return '';
  const reason = last.message ? `: ${last.message}` : '';
  const again =
    rotation?.underway?.due && last.retry_at ? ` It will be retried at ${moment(last.retry_at).slice(11)} UTC.` : '';
  return `${last.event}${reason}.${again}`.replace('..', '.');
}

/** Returns the text that screen readers announce about the chosen secret's rotation. */
export function announcement(entry, secret) {
  if (!secret || entry.secret_arn !== secret.arn) return '';
  if (entry.kind === 'event') return `${entry.event} of ${secret.name}`;
  return entry.kind === 'step' && entry.state !== 'started' ? `${entry.step} ${WORDS[entry.state]}` : '';
}

function entryText(entry) {
  const version = (id) => element('code', { title: id }, short(id));
  if (entry.kind === 'moved') {
    if (!entry.from) return [label(entry.label), ' to ', version(entry.to)];
    if (!entry.to) return [label(entry.label), ' taken from ', version(entry.from)];
    return [label(entry.label), ' from ', version(entry.from), ' to ', version(entry.to)];
  }
  if (entry.kind === 'step') return [`${entry.step} ${WORDS[entry.state]}`];
  const step = entry.step ? ` in ${entry.step}` : '';
  return [element('strong', {}, entry.event), step, entry.message ? `: ${entry.message}` : ''];
}
