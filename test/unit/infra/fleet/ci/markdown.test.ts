/** What people read below a pull request and in the drift issue. */
import { expect, test } from "vitest";
import { leftInventory } from "../../../../../infra/fleet/ci/affected.ts";
import { markdownOf, type Overview } from "../../../../../infra/fleet/ci/markdown.ts";
import { reportOf } from "../../../../../infra/fleet/ci/report.ts";

const step = (op: string, type: string, name: string, custom = true) => ({
  ...{ op, urn: `urn:pulumi:box1::lmstack::${type}::${name}` },
  newState: { custom, type: type.split("$").at(-1) },
});
const report = reportOf("box1", {
  config: { "lmstack:host": "{}" },
  steps: [
    step("update", "pulumi:pulumi:Stack", "lmstack-box1", false),
    step("same", "command:local:Command", "runtime"),
    step("create", "lmstack:index:Proxy", "proxy", false),
    step("create", "lmstack:index:Proxy$pulumi:providers:docker", "docker"),
    step("update", "lmstack:index:Models$command:local:Command", "model-coder"),
  ],
  diagnostics: [
    { severity: "warning", message: "warning: drift: lmstudio: its server does not answer\n" },
    { severity: "info", message: "hello" },
  ],
});
const row = (host: string, more: Partial<Overview["hosts"][number]> = {}): Overview["hosts"][number] => ({
  ...{ host, what: ["its spec"], diff: [], wave: "2", held: null },
  ...more,
});
const overview = (...hosts: Overview["hosts"]): Overview => ({ revision: "abc123", total: 9, hosts, notes: [] });

test("a preview is read as what changes and what drifted, without what the engine keeps for itself", () => {
  expect(report).toEqual({
    host: "box1",
    steps: [{ op: "update", resource: "model-coder" }],
    drift: ["lmstudio: its server does not answer"],
    fault: null,
  });
});

test("each host has a line, its diff and its drift", () => {
  const text = markdownOf("preview", overview(row("box1", { wave: "1 canary", diff: ["- a: 1", "+ a: 2"] })), [report]);
  expect(text).toMatch(/^<!-- lmstack preview -->\n### lmstack: 1 of 9 hosts would change\n/);
  expect(text).toContain("| 1 canary | **box1** | its spec | update `model-coder` |");
  expect(text).toContain("```diff\n- a: 1\n+ a: 2\n```");
  expect(text).toContain("- lmstudio: its server does not answer");
});

test("a host that is held, gone, failing, or whose job died is told as that", () => {
  const text = markdownOf(
    "preview",
    overview(
      row("box1", { wave: null, held: "its window is closed. Next: wait | see" }),
      row("box2", { what: [leftInventory] }),
      row("box3"),
      row("box4"),
    ),
    [report, { host: "box3", steps: [], drift: [], fault: "secrets are missing:\n  team-a" }],
  );
  expect(text).toContain("held: its window is closed. Next: wait \\| see | update `model-coder` |");
  expect(text).toContain("`pulumi destroy --stack box2`");
  expect(text).toContain("| 2 | **box3** | its spec | **fails**: secrets are missing: |");
  expect(text).toContain("| 2 | **box4** | its spec | unknown: its job left no report |");
});

test("nothing in a spec ends the block it stands in", () => {
  const text = markdownOf("preview", overview(row("box1", { diff: ["+ a: ````x```", "+ </details>"] })), [report]);
  expect(text).toContain("`````diff\n+ a: ````x```\n+ </details>\n`````");
});

test("a comment is never longer than GitHub takes, and says what it leaves out", () => {
  const hosts = Array.from({ length: 200 }, (_, index) => row(`box${index}`, { diff: [`+ ${"x".repeat(1_000)}`] }));
  const text = markdownOf("preview", overview(...hosts), []);
  expect(text.length).toBeLessThan(65_536);
  expect(text).toMatch(/\n\d+ more in the job's artifacts/);
  expect(text).toContain("| **box199** |");
});

test("without any host there is only the head", () => {
  expect(markdownOf("drift", overview(), [])).toBe(
    "<!-- lmstack drift -->\n### lmstack: 0 of 9 hosts not as declared\n\nAs of abc123.\n",
  );
});
