/** What is wrong with an option that does not exist, and what was probably meant. */

/** Options of other libraries, by their name without case, `_` and `-`: what to write here, as the end of a sentence. */
export type Hints = Readonly<Record<string, string>>;

/** @throws {TypeError} If an option is not among those known, with what was probably meant. */
export function checkOptions(where: string, options: object, known: readonly string[], hints: Hints = {}): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${where} takes an object of options, not ${describe(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(unknownOption(where, name, known, hints));
  }
}

/** The text for an option that is not known. */
export function unknownOption(where: string, name: string, known: readonly string[], hints: Hints): string {
  const plain = plainly(name);
  const named = (other: string): string | undefined => {
    const found = known.find((each) => plainly(each) === other);
    return found && `did you mean ${found}?`;
  };
  const advice = named(plain) ?? hints[plain] ?? named(`${plain}ms`) ?? similar(plain, known);
  return `${name} is not an option of ${where}; ${advice ?? `the options are ${known.join(', ')}`}`;
}

/** A value in an error: what it is, and itself where it is short and certainly not secret. */
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

/** How many letters differ, are missing or too many. */
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
