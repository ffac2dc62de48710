/** What is under way in the core on behalf of this thread, and how its end gets here. */

import type { Delivery } from './binding';

const expected = new Map<number, (delivery: Delivery) => void>();
let last = 0;
let keeper: NodeJS.Timeout | undefined;

/** The longest time a timer takes. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** A number for something that is about to begin. */
export function nextNumber(): number {
  last = (last + 1) % 2 ** 32;
  return last;
}

/** Waits for the end of what began under a number. Meanwhile the process does not end; nothing else of ours keeps it. */
export function endOf(number: number): Promise<Delivery> {
  keeper ??= setInterval(() => {}, FOR_EVER_MS);
  return new Promise((resolve) => expected.set(number, resolve));
}

/** Something that began here has ended. */
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

/** What is to be done when a signal is aborted. One listener for each signal, however many wait: more would be warned of. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls a function when a signal is aborted, until the result is called. */
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

/** The same end, unless the signal is aborted first: what was begun continues for others who wait for it. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      // Its failure is of no interest any more, to anybody.
      promise.catch(() => {});
      return;
    }
    const forget = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(forget);
  });
}

/** Waits so long. A program waits for it, so it keeps the process alive. */
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
