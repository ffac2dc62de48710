// Helpers for elements, times and requests. Text is only inserted as text: nothing here parses HTML.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('aria-') || name === 'role' || name === 'scope') made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Makes `parent` show `items` in this order. Existing elements are reused, so they keep the focus. */
export function reconcile(parent, items, key, make, update = () => {}) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const itsKey = String(key(item));
    let child = old.get(itsKey);
    if (child) old.delete(itsKey);
    else {
      child = make(item);
      child.dataset.key = itsKey;
    }
    update(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of old.values()) child.remove();
}

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Returns an element for a staging label, or for none. The text identifies the label; the color only supports it. */
export function label(name) {
  if (!name) return element('span', { className: 'count' }, 'none');
  const kind = { AWSCURRENT: 'current', AWSPENDING: 'pending', AWSPREVIOUS: 'previous' }[name] ?? 'own';
  return element('span', { className: `label ${kind}` }, name);
}

export const short = (versionId) => (versionId.length > 13 ? `${versionId.slice(0, 8)}…` : versionId);

/** Formats a time like `2026-11-29 01:02:03`. All times on the page are in UTC. */
export function moment(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

/** Returns an element for a time of day, with the date if `withDate`. */
export function timeOf(seconds, withDate = false) {
  const [text, dateTime] = [moment(seconds), new Date(seconds * 1000).toISOString()];
  return element('time', { dateTime, title: `${text} UTC` }, withDate ? text : text.slice(11));
}

/** Sends a control request. @throws {Error} If it fails, with the endpoint's reason. */
export async function control(method, path, body) {
  return answered(
    await fetch(`/_control/${path}`, {
      method,
      headers: { 'Content-Type': 'application/json', 'X-Secretcache-Control': 'page' },
      body: body === undefined ? undefined : JSON.stringify(body),
    }),
  );
}

/** Reads one value. No other response that the page gets contains values. */
export async function readValue(arn, versionId) {
  return answered(
    await fetch('/_page/value', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Secretcache-Control': 'page' },
      body: JSON.stringify({ arn, version_id: versionId }),
    }),
  );
}

/** Calls an operation like an SDK, in the secret's own account and Region. */
export async function call(secret, operation, parameters) {
  return answered(
    await fetch('/', {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-amz-json-1.1',
        'X-Amz-Target': `secretsmanager.${operation}`,
        Authorization: `AWS4-HMAC-SHA256 Credential=${secret.account}/20000101/${secret.region}/secretsmanager/aws4_request`,
      },
      body: JSON.stringify(parameters),
    }),
  );
}

async function answered(response) {
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.error ?? answer.Message ?? answer.message ?? `The response has status ${response.status}.`);
  }
  return answer;
}
