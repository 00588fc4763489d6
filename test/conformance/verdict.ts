/** What became of the question whether a fact holds. */
import type { Row } from "../e2e/rows.ts";
import type { Fact } from "./fact.ts";

export type Verdict =
  | { readonly fact: Fact; readonly is: "holds" }
  | { readonly fact: Fact; readonly is: "fallen"; readonly found: string }
  | { readonly fact: Fact; readonly is: "not asked"; readonly why: string };

export async function judge(fact: Fact, ask: () => Promise<void>): Promise<Verdict> {
  try {
    await ask();
    return { fact, is: "holds" };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return { fact, is: "fallen", found: found.trim().replaceAll(/\s+/g, " ").slice(0, 300) };
  }
}

/** A fact that was not asked has no bar to miss; its value says why. */
export function rowOf(verdict: Verdict): Row {
  const { id, words } = verdict.fact;
  const value =
    verdict.is === "holds" ? "holds" : verdict.is === "fallen" ? verdict.found : `not asked: ${verdict.why}`;
  return {
    name: `${id} ${words}`,
    value,
    unit: "",
    bar: verdict.is === "not asked" ? "" : "holds",
    ok: verdict.is !== "fallen",
  };
}

/** What has fallen, with its source, then the totals and why some were not asked. */
export function told(verdicts: readonly Verdict[]): string {
  const fallen = verdicts.filter((verdict) => verdict.is === "fallen");
  const silent = verdicts.filter((verdict) => verdict.is === "not asked");
  const why = Map.groupBy(silent, (verdict) => verdict.why);
  const holding = verdicts.length - fallen.length - silent.length;
  return [
    ...fallen.map(({ fact, found }) => `NO  ${fact.id} ${fact.words}\n    source: ${fact.source}\n    found: ${found}`),
    `${holding} facts hold, ${fallen.length} hold no longer, ${silent.length} were not asked`,
    ...[...why].map(([reason, group]) => `   not asked: ${reason} (${group.map(({ fact }) => fact.id).join(", ")})`),
  ].join("\n");
}
