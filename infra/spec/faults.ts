/** A fault is one thing that a person has to put right, said with where, what was found, what is allowed and what to do next. */
import type { z } from "zod";

export interface Fault {
  /** Path of the key (`models[0].sha256`) or a host's name. */
  readonly where: string;
  readonly found: string;
  readonly expected: string;
  readonly next: string;
}

export const fault = (where: string, found: string, expected: string, next: string): Fault => ({
  where,
  found,
  expected,
  next,
});

export class Faults extends Error {
  readonly faults: readonly Fault[];
  constructor(title: string, faults: readonly Fault[]) {
    super(`${title}\n${faults.map((fault) => `  ${faultLine(fault)}`).join("\n")}`);
    this.name = "Faults";
    this.faults = faults;
    // Printed for people: a stack would bury the list.
    this.stack = this.message;
  }
}

export const faultLine = ({ where, found, expected, next }: Fault): string =>
  `${where}: found ${found}; expected ${expected}. Next: ${next}`;

export const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text ? `${text}.${String(step)}` : String(step)),
    "",
  );

/** A value as it appears in a fault: short, one line. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, replaced));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The known name that was probably meant, when one is near enough. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  return best && best.far <= Math.max(2, Math.floor(name.length / 3)) ? best.candidate : undefined;
}

const valueAt = (root: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined,
    root,
  );

/** zod's issues as faults. `knownKeys` answers which keys may stand at a path, for suggestions; `root` is what the whole is called. */
export function faultsOf(
  error: z.ZodError,
  input: unknown,
  knownKeys: (path: readonly PropertyKey[]) => readonly string[],
  root = "lmstack:host",
): Fault[] {
  return error.issues.flatMap(ofMeantForm).flatMap((issue): Fault[] => {
    const where = pathText(issue.path) || root;
    const found = shown(valueAt(input, issue.path));
    if (issue.code === "unrecognized_keys") {
      const known = knownKeys(issue.path);
      const expected = `one of ${known.join(", ")}`;
      return issue.keys.map((key) => {
        const meant = nearest(key, known);
        const next = meant ? `did you mean ${meant}?` : "remove it";
        return fault(pathText([...issue.path, key]), "a key that does not exist", expected, next);
      });
    }
    const expected = expectation(issue);
    const next = found === "nothing" ? `add ${where}` : `correct ${where}`;
    return [fault(where, found, expected, next)];
  });
}

/** Where only one of several forms has the type that was written, its faults are what the writer needs to hear. */
function ofMeantForm(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const meant = issue.errors.filter(
    (form) => !form.some((inner) => inner.code === "invalid_type" && !inner.path.length),
  );
  if (issue.errors.length < 2 || meant.length !== 1) return [issue];
  return (meant[0] ?? []).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int"
        ? "a whole number"
        : `${/^[aeiou]/.test(issue.expected) ? "an" : "a"} ${issue.expected}`;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      return issue.origin === "string"
        ? "a text that is not empty"
        : `${issue.origin === "array" ? "entries, " : ""}at least ${issue.minimum}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "invalid_format":
      return issue.message;
    case "invalid_union":
      return issue.message === "Invalid input" ? "{local: true} or {host, user, hostKey, …}" : issue.message;
    default:
      return issue.message;
  }
}
