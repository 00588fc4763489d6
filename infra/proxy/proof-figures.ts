/** What the proofs have measured, as an output of the program. */
import { z } from "zod";

const figures = z.object({
  id: z.string(),
  tokensPerSecond: z.number().nullable(),
  firstTokenMs: z.number().nullable(),
  contextAccepted: z.number().nullable(),
  strategies: z.record(z.string(), z.string()),
  findings: z.array(z.object({ endpoint: z.string(), verdict: z.string(), found: z.string() })),
});
const result = z.object({ observed: z.object({ proofs: z.array(figures) }) });

export interface ProofFigures {
  readonly tokensPerSecond: number | null;
  readonly firstTokenMs: number | null;
  /** Tokens of the longest prompt that was taken in whole. */
  readonly contextAccepted: number | null;
  /** How thinking is switched off, by endpoint. */
  readonly strategies: Readonly<Record<string, string>>;
  /** What a weak model did not do, and what could not be shown. */
  readonly notes: readonly string[];
}

/** By model, from the line that the host's proof printed. Empty for one that an older version printed. */
export function proofFigures(line: string): Record<string, ProofFigures> {
  const { data } = result.safeParse(JSON.parse(line));
  return Object.fromEntries(
    (data?.observed.proofs ?? []).map(({ id, findings, ...measured }) => [
      id,
      { ...measured, notes: findings.map(({ endpoint, found }) => `${endpoint}: ${found}`) },
    ]),
  );
}
