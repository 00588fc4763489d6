/** `${{ … }}` of a workflow, as far as ours use it: contexts, literals, comparisons, `&&`, `||`, and a few functions. */

export type Contexts = Readonly<Record<string, unknown>>;

const token = /\s*(?:'((?:[^']|'')*)'|(&&|\|\||==|!=|!|\(|\)|,)|([\w.*-]+))/y;

/** @throws when it is something that no workflow of ours has had yet */
export function evaluate(text: string, contexts: Contexts): unknown {
  const words: { readonly kind: "text" | "sign" | "name"; readonly value: string }[] = [];
  token.lastIndex = 0;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [, literal, sign, name] = found;
    if (literal !== undefined) words.push({ kind: "text", value: literal.replaceAll("''", "'") });
    else words.push({ kind: sign === undefined ? "name" : "sign", value: sign ?? (name as string) });
    if (token.lastIndex >= text.trimEnd().length) break;
  }
  const takes = (sign: string): boolean =>
    words[0]?.kind === "sign" && words[0].value === sign && Boolean(words.shift());
  const either = (): unknown => {
    let value = both();
    while (takes("||")) {
      const other = both();
      value ||= other;
    }
    return value;
  };
  const both = (): unknown => {
    let value = compared();
    while (takes("&&")) {
      const other = compared();
      value &&= other;
    }
    return value;
  };
  const compared = (): unknown => {
    const value = single();
    // Null is as good as an empty text there.
    if (takes("==")) return (value ?? "") === (single() ?? "");
    if (takes("!=")) return (value ?? "") !== (single() ?? "");
    return value;
  };
  const single = (): unknown => {
    if (takes("!")) return !single();
    if (takes("(")) {
      const value = either();
      takes(")");
      return value;
    }
    const word = words.shift();
    if (word === undefined) throw new Error(`the expression ends too early: ${text}`);
    if (word.kind === "text") return word.value;
    if (!takes("(")) return literals.has(word.value) ? literals.get(word.value) : valueAt(contexts, word.value);
    const argument = takes(")") ? undefined : either();
    takes(")");
    return called(word.value, argument);
  };
  const value = either();
  if (words.length > 0) throw new Error(`not understood from ${words[0]?.value} on: ${text}`);
  return value;
}

const literals = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

const valueAt = (contexts: Contexts, path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>(
      (value, key) => (typeof value === "object" && value !== null ? (value as Contexts)[key] : undefined),
      contexts,
    );

function called(name: string, argument: unknown): unknown {
  if (name === "always") return true;
  if (name === "fromJSON") return JSON.parse(String(argument));
  throw new Error(`no workflow of ours has called ${name} before`);
}

/** A value of the workflow's file, with every `${{ … }}` in it answered; one that is nothing else keeps its type. */
export function filled(value: unknown, contexts: Contexts): unknown {
  if (typeof value !== "string") return value;
  const whole = /^\s*\$\{\{((?:(?!\}\}).)*)\}\}\s*$/s.exec(value);
  if (whole) return evaluate(whole[1] as string, contexts);
  return value.replaceAll(/\$\{\{(.*?)\}\}/gs, (_, inner: string) => String(evaluate(inner, contexts) ?? ""));
}

/** As `if:` reads it, with or without the braces. */
export const isTrue = (text: string, contexts: Contexts): boolean =>
  Boolean(/^\s*\$\{\{/.test(text) ? filled(text, contexts) : evaluate(text, contexts));
