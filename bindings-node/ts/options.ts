/** Rejects unknown options, and suggests what was probably meant. */

/** What to write instead of another library's option, as the end of a sentence; keys are lower case without `_` and `-`. */
export type Hints = Readonly<Record<string, string>>;

/** @throws {TypeError} If an option is unknown; the message suggests what was probably meant. */
export function checkOptions(where: string, options: object, known: readonly string[], hints: Hints = {}): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${where} takes an object of options, not ${describe(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(unknownOption(where, name, known, hints));
  }
}

/** Returns the error message for an unknown option. */
export function unknownOption(where: string, name: string, known: readonly string[], hints: Hints): string {
  const plain = plainly(name);
  const named = (other: string): string | undefined => {
    const found = known.find((each) => plainly(each) === other);
    return found && `did you mean ${found}?`;
  };
  const advice = named(plain) ?? hints[plain] ?? named(`${plain}ms`) ?? similar(plain, known);
  return `${name} is not an option of ${where}; ${advice ?? `the options are ${known.join(', ')}`}`;
}

/** Describes a value for an error message: its type, or the value itself if it is short and cannot be secret. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value === '' ? 'an empty string' : `a ${typeof value}`;
}

function plainly(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '');
}

function similar(plain: string, known: readonly string[]): string | undefined {
  const close = known.find((each) => distance(plain, plainly(each)) <= Math.min(2, Math.floor(each.length / 3)));
  return close === undefined ? undefined : `did you mean ${close}?`;
}

/** Returns the Levenshtein distance of two names. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const changed = (row[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[other.length] as number;
}
