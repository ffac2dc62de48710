/**
 * Rotations over the endpoint's API and the database's own commands. They do not use the project's rotation engine, and
 * pause between the steps, so that programs connect at every stage.
 */

import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

const password = () => randomBytes(12).toString('hex');

/** Changes the password of one user. Between setSecret and finishSecret, the database already accepts only the new one. */
export async function rotateSingleUser(endpoint, secretId, setPassword, betweenSteps) {
  const { login, versionId: old } = await current(endpoint, secretId);
  const next = { ...login, password: password() };
  const { VersionId } = await endpoint.put(secretId, JSON.stringify(next), ['AWSPENDING']);
  await pause(betweenSteps);
  await setPassword(next.username, next.password);
  await pause(betweenSteps);
  await finish(endpoint, secretId, VersionId, old);
  return next;
}

/** Gives the other of two users a new password and makes it current. The first keeps working until the next rotation. */
export async function rotateAlternatingUsers(endpoint, secretId, setPassword, betweenSteps) {
  const { login, versionId: old } = await current(endpoint, secretId);
  const username = login.username.endsWith('_clone') ? login.username.slice(0, -6) : `${login.username}_clone`;
  const next = { ...login, username, password: password() };
  const { VersionId } = await endpoint.put(secretId, JSON.stringify(next), ['AWSPENDING']);
  await pause(betweenSteps);
  await setPassword(next.username, next.password);
  await pause(betweenSteps);
  await finish(endpoint, secretId, VersionId, old);
  return next;
}

async function current(endpoint, secretId) {
  const { SecretString, VersionId } = await endpoint.call('GetSecretValue', { SecretId: secretId });
  return { login: JSON.parse(SecretString), versionId: VersionId };
}

async function finish(endpoint, secretId, to, from) {
  const move = { SecretId: secretId, VersionStage: 'AWSCURRENT', MoveToVersionId: to, RemoveFromVersionId: from };
  await endpoint.call('UpdateSecretVersionStage', move);
  await endpoint.call('UpdateSecretVersionStage', {
    SecretId: secretId,
    VersionStage: 'AWSPENDING',
    RemoveFromVersionId: to,
  });
}
