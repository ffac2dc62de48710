// The list of secrets, and the chosen one: its versions with their labels, and values on request.

import { byId, call, control, element, label, moment, readValue, reconcile, setText, short, timeOf } from './dom.js';
import { showRotation } from './rotation.js';
import { draw, state } from './state.js';

/** The maximum number of rows. To find others, filter by name. */
const MOST_ROWS = 200;

let chosenArn = new URLSearchParams(location.hash.slice(1)).get('secret');
/** The values shown, by version id of the chosen secret. */
const values = new Map();

export const chosen = () => state.secrets.get(chosenArn);

function choose(arn) {
  if (arn !== chosenArn) values.clear();
  chosenArn = arn;
  setText(byId('secret-error'), '');
  // Each secret has its own URL, which survives a reload and can be bookmarked.
  history.replaceState(null, '', `#${new URLSearchParams({ secret: arn })}`);
  draw();
}

export function showSecrets() {
  const all = [...state.secrets.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  if (!chosen() && all.length) chosenArn = all[0].arn;
  const wanted = byId('filter').value.trim().toLowerCase();
  const found = all.filter((secret) => secret.name.toLowerCase().includes(wanted));
  const places = new Set(all.map((secret) => `${secret.account} ${secret.region}`));
  setText(byId('secrets-count'), String(all.length));
  reconcile(
    byId('secrets-list'),
    found.slice(0, MOST_ROWS),
    (secret) => secret.arn,
    makeRow,
    (row, secret) => {
      const button = row.firstElementChild;
      const [name, about] = button.children;
      setText(name, secret.name);
      const words = [];
      if (places.size > 1) words.push(`${secret.account} ${secret.region}`);
      if (secret.primary) words.push('replica');
      if (secret.deletion) words.push('marked for deletion');
      else if (secret.rotation?.underway) words.push('rotating');
      else if (secret.rotation?.enabled) words.push('rotates');
      setText(about, words.join(' · '));
      button.classList.toggle('busy', Boolean(secret.rotation?.underway));
      if (secret.arn === chosenArn) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    },
  );
  setText(
    byId('secrets-note'),
    found.length > MOST_ROWS
      ? `${MOST_ROWS} of ${found.length} are shown.`
      : all.length && !found.length
        ? 'No name matches.'
        : '',
  );
}

function makeRow(secret) {
  const button = element(
    'button',
    { type: 'button' },
    element('span', { className: 'secret-name' }),
    element('span', { className: 'about' }),
  );
  button.addEventListener('click', () => choose(secret.arn));
  return element('li', {}, button);
}

export function showSecret() {
  const secret = chosen();
  byId('secret-body').hidden = !secret;
  byId('secret-empty').hidden = Boolean(secret);
  setText(byId('secret-name'), secret?.name ?? 'No secret chosen');
  if (!secret) return;
  setText(byId('secret-arn'), secret.arn);
  const tags = (secret.tags ?? []).map((tag) => `${tag.Key}=${tag.Value}`).join(', ');
  const replicas = (secret.replicas ?? []).map((replica) => replica.region).join(', ');
  const facts = [
    ['Description', secret.description],
    ['Key', secret.kms_key_id],
    ['Tags', tags],
    ['Replicas', replicas],
    ['Policy', secret.policy && 'a resource policy'],
    ['Changed', `${moment(secret.changed)} UTC`],
    ['Deleted for good', secret.deletion && `${moment(secret.deletion)} UTC`],
  ].filter(([, value]) => value);
  reconcile(
    byId('secret-facts'),
    facts,
    ([name]) => name,
    ([name]) => element('div', {}, element('dt', {}, name), element('dd')),
    (row, [, value]) => setText(row.lastElementChild, value),
  );
  const rows = byId('versions').tBodies[0];
  reconcile(rows, [...secret.versions].reverse(), (version) => version.id, makeVersion, updateVersion);
  showRotation(secret);
}

function makeVersion(version) {
  const toggle = element('button', { type: 'button' });
  toggle.addEventListener('click', () => toggleValue(version.id));
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, element('code', { title: version.id }, short(version.id))),
    element('td', { className: 'labels' }),
    element('td', {}, timeOf(version.created, true)),
    element('td', { className: 'value' }, toggle, element('code', { className: 'shown' })),
  );
}

function updateVersion(row, version) {
  const [, labels, , cell] = row.cells;
  reconcile(labels, version.labels.length ? version.labels : [''], (name) => name, label);
  row.classList.toggle('deprecated', !version.labels.length);
  const [toggle, shown] = cell.children;
  const value = values.get(version.id);
  setText(toggle, value === undefined ? 'Show' : 'Hide');
  toggle.setAttribute(
    'aria-label',
    `${value === undefined ? 'Show' : 'Hide'} the value of version ${short(version.id)}`,
  );
  setText(shown, value ?? '');
  shown.hidden = value === undefined;
}

async function toggleValue(versionId) {
  const arn = chosenArn;
  if (values.delete(versionId)) return draw();
  await attempt(async () => {
    const { string, binary } = await readValue(arn, versionId);
    if (arn === chosenArn) values.set(versionId, string ?? `${binary} (base64)`);
  }, 'This version has no value.');
}

/** Calls a function and shows its error, or `instead`, if it fails. */
async function attempt(work, instead) {
  setText(byId('secret-error'), '');
  try {
    await work();
  } catch (error) {
    setText(byId('secret-error'), instead ?? error.message);
  }
  draw();
}

byId('filter').addEventListener('input', draw);
byId('rotate').addEventListener('click', () =>
  attempt(() => call(chosen(), 'RotateSecret', { SecretId: chosenArn, ClientRequestToken: crypto.randomUUID() })),
);
byId('next-rotation').addEventListener('click', () =>
  attempt(() => control('POST', 'next_rotation', { secret_id: chosenArn })),
);
// Arrow keys move through the list, as in any list box.
byId('secrets-list').addEventListener('keydown', (event) => {
  const row = event.target.closest('li');
  const next = {
    ArrowDown: row?.nextElementSibling,
    ArrowUp: row?.previousElementSibling,
    Home: row?.parentElement.firstElementChild,
    End: row?.parentElement.lastElementChild,
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.firstElementChild.focus();
});
