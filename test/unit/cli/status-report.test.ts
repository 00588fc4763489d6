/** `lmstack status`: when a host counts as ready, and what a person reads. */
import { expect, test } from "vitest";
import { reportLines, reportOf } from "../../../infra/cli/status-report.ts";
import type { Observed } from "../../../infra/spec/host-documents.ts";
import { parseHostSpec } from "../../../infra/spec/parse.ts";
import { observed } from "../infra/host/observed.ts";
import { exampleSpec } from "../infra/spec/example.ts";

const spec = parseHostSpec(exampleSpec());
const gpu = { driver: "580.95.05", memoryMiB: 32_607, name: "NVIDIA GeForce RTX 5090" };
const report = (seen: Observed | null = observed(), drift: string[] = []) =>
  reportOf(spec, "box", { observed: seen, runtime: "abc", gpu }, drift, "it answers");
const spoilt = (spoil: (seen: Observed) => Observed): Observed => spoil(observed());

test("a host on which everything declared serves is ready, and says where", () => {
  expect(report().ready, JSON.stringify(report())).toBe(true);
  const lines = reportLines(report()).join("\n");
  expect(lines).toMatch(/box: ready at http:\/\/10\.0\.0\.5:8080\/v1/);
  expect(lines).toMatch(/Qwen3\.6-27B: loaded, context 200000, parallel 2, thinking off/);
  expect(lines).toMatch(/RTX 5090, 32607 MiB, driver 580/);
  expect(lines).toMatch(/last proof {2}it answers/);
});

test.each<[string, Observed]>([
  [
    "the daemon does not run",
    spoilt((seen) => ({
      ...seen,
      lmstudio: { ...seen.lmstudio, daemon: { running: false, pid: null, supervised: false } },
    })),
  ],
  [
    "the server does not answer",
    spoilt((seen) => ({
      ...seen,
      lmstudio: { ...seen.lmstudio, server: { greeting: false, port: null, address: null } },
    })),
  ],
  ["a model is not loaded", spoilt((seen) => ({ ...seen, models: {} }))],
  ["the proxy has no container", spoilt((seen) => ({ ...seen, proxy: { ...seen.proxy, containers: [] } }))],
  [
    "the proxy's container is not healthy",
    spoilt((seen) => ({
      ...seen,
      proxy: {
        ...seen.proxy,
        containers: seen.proxy.containers.map((one) => ({ ...one, health: "unhealthy" as const })),
      },
    })),
  ],
])("a host is not ready when %s", (_, seen) => {
  expect(report(seen).ready).toBe(false);
  expect(reportLines(report(seen)).join("\n")).toMatch(/NOT READY/);
});

test("a host that drifted is not ready, and the line says what repairs it", () => {
  const drifted = report(observed(), ["drift: lmstudio: the daemon was gone"]);
  expect(drifted.ready).toBe(false);
  expect(reportLines(drifted).join("\n")).toMatch(/the daemon was gone\n.*lmstack up/);
});

test("a host without anything of lmstack is not ready, and says how to begin", () => {
  const bare = reportOf(spec, "box", { observed: null, runtime: null, gpu: null }, [], null);
  expect(bare).toMatchObject({ ready: false, lmstudio: null, journal: [] });
  expect(reportLines(bare).join("\n")).toMatch(/nothing of lmstack.*lmstack up/);
});

test("what the supervisor cannot bring about is told with its reason and what to do", () => {
  const failing = { lmstudio: "it dies again and again (quarantined: tried again every 5 minutes); look at the logs" };
  expect(reportLines(report({ ...observed(), failing })).join("\n")).toContain(`lmstudio: ${failing.lmstudio}`);
});

test("the supervisor's journal is told in words, the newest last, ten lines of it", () => {
  const journal = Array.from({ length: 12 }, (_, index) => ({
    at: `2026-11-28T01:00:${10 + index}.123Z`,
    what: `starting ${index}`,
    why: "it was not running",
    result: "done",
    ok: index !== 11,
  }));
  const lines = reportLines(report({ ...observed(), journal }));
  const told = lines.slice(lines.findIndex((line) => line.includes("supervisor of late")) + 1);
  expect(told).toHaveLength(10);
  expect(told.at(-1)).toBe("    2026-11-28 01:00:21  FAILED: starting 11, because it was not running: done");
});
