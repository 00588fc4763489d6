/** What `lmstack doctor` says: failures and faults as findings, and findings as lines. Pure. */
import { Faults } from "../spec/faults.ts";
import type { Finding } from "../spec/host-documents.ts";
import { CliFault } from "./fault.ts";

export const fine = (check: string, words: string): Finding => ({ check, verdict: "ok", words });

/** Failures of ours end in what comes next. */
export function findingsOf(check: string, error: unknown): Finding[] {
  if (error instanceof Faults)
    return error.faults.map(({ where, found, expected, next }) => ({
      ...{ check, verdict: "problem" },
      words: `${where}: found ${found}; expected ${expected}`,
      fix: next,
    }));
  if (!(error instanceof CliFault)) throw error;
  const [words = "", fix] = error.message.split(/\.? Next: /);
  return [{ check, verdict: "problem", words, ...(fix === undefined ? {} : { fix }) }];
}

export const healthy = (findings: readonly Finding[]): boolean =>
  findings.every(({ verdict }) => verdict !== "problem");

export function findingLines(findings: readonly Finding[]): string[] {
  const widest = Math.max(0, ...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, verdict, words, fix }) => [
    `${verdict === "problem" ? "PROBLEM" : verdict.padEnd(7)}  ${check.padEnd(widest)}  ${words}`,
    ...(fix === undefined ? [] : [`         ${" ".repeat(widest)}  fix: ${fix}`]),
  ]);
  const problems = findings.filter(({ verdict }) => verdict === "problem").length;
  return [
    ...lines,
    problems === 0 ? "nothing has to be done" : `${problems} ${problems === 1 ? "problem" : "problems"}`,
  ];
}
