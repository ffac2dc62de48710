/** Calls in progress in the core for this thread, and the delivery of their results. */

import type { Delivery } from './binding';

const expected = new Map<number, (delivery: Delivery) => void>();
let last = 0;
let keeper: NodeJS.Timeout | undefined;

/** The maximum delay of a timer. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** Returns the number for the next call. */
export function nextNumber(): number {
  last = (last + 1) % 2 ** 32;
  return last;
}

/** Waits for the result of a call. Until then the process stays alive; nothing else in this package keeps it alive. */
export function endOf(number: number): Promise<Delivery> {
  keeper ??= setInterval(() => {}, FOR_EVER_MS);
  return new Promise((resolve) => expected.set(number, resolve));
}

/** Resolves the promise for the call that a delivery belongs to. */
export function deliver(delivery: Delivery): void {
  const resolve = expected.get(delivery.number);
  if (resolve === undefined) return;
  expected.delete(delivery.number);
  if (expected.size === 0) {
    clearInterval(keeper);
    keeper = undefined;
  }
  resolve(delivery);
}

/** The functions to call when a signal is aborted. Each signal gets only one listener, because Node warns about many. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Registers a function to call when a signal is aborted. Returns a function that unregisters it. */
function onAbort(signal: AbortSignal, abort: () => void): () => void {
  let all = waiting.get(signal);
  if (all === undefined) {
    const aborts = new Set<() => void>();
    all = aborts;
    waiting.set(signal, aborts);
    signal.addEventListener('abort', () => aborts.forEach((each) => void each()), { once: true });
  }
  all.add(abort);
  return () => waiting.get(signal)?.delete(abort);
}

/** Settles like the promise, unless the signal is aborted first. The work continues for others who wait for it. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      // The result is no longer awaited, so its failure must not be reported as unhandled.
      promise.catch(() => {});
      return;
    }
    const forget = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(forget);
  });
}

/** Waits for a time. The timer keeps the process alive, because the program awaits it. */
export function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      forget?.();
      resolve();
    }, milliseconds);
    const forget =
      signal &&
      onAbort(signal, () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
  });
}
