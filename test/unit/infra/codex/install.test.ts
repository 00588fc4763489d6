import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { codexArtifacts } from "../../../../infra/codex/artifacts.ts";
import { type Change, type InstallRecord, planInstall, planUninstall } from "../../../../infra/codex/install.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec } from "../spec/example.ts";

type Folder = Record<string, string | undefined>;
const spec = parseHostSpec(exampleSpec());
const files = (key?: string) => codexArtifacts(spec, key, "box");
const profile = "box.config.toml";

function apply(folder: Folder, changes: readonly Change[]): Folder {
  const next = { ...folder };
  for (const { name, after } of changes) {
    if (after === undefined) delete next[name];
    else next[name] = after;
  }
  return next;
}
function install(folder: Folder, key?: string, record?: InstallRecord): { folder: Folder; record: InstallRecord } {
  const plan = planInstall(files(key), "box", folder, record);
  return { folder: apply(folder, plan.changes), record: plan.record };
}
const uninstall = (folder: Folder, record: InstallRecord): Folder =>
  apply(folder, planUninstall(record, folder).changes);

const written = '# my own\nmodel = "mine" # big\npersonality = "pragmatic"\n\n[mcp_servers.docs]\ncommand = "docs"\n';

describe("codex install", () => {
  test("into an empty folder writes the files as they are, and a second time nothing", () => {
    const { folder, record } = install({}, "k");
    for (const { name, content } of files("k")) expect(folder[name]).toBe(content);
    expect(planInstall(files("k"), "box", folder, record).changes).toEqual([]);
  });

  test("keeps what a user added to the profile", () => {
    const { folder } = install({ [profile]: written }, "k");
    expect(folder[profile]).toContain('# my own\nmodel = "Qwen3.6-27B" # big\npersonality = "pragmatic"\n');
    expect(parse(folder[profile] ?? "")).toMatchObject({
      mcp_servers: { docs: { command: "docs" } },
      model_provider: "lms",
    });
  });

  test("takes away a key that an earlier version wrote and this one does not", () => {
    const first = install({ [profile]: written }, "k");
    expect(first.folder[profile]).toContain("env_key");
    const second = install(first.folder, undefined, first.record);
    expect(second.folder[profile]).not.toContain("env_key");
    expect(second.folder[profile]).toContain('personality = "pragmatic"');
  });
});

describe("codex uninstall", () => {
  const folders = fc.record({
    profile: fc.constantFrom(
      undefined,
      written,
      "",
      "[features]\n",
      'web_search = "live"\n[model_providers.lms]\nname = "x"\n',
    ),
    env: fc.constantFrom(undefined, "export MINE=1\n"),
    keys: fc.array(fc.constantFrom("k", "another", undefined), { minLength: 1, maxLength: 3 }),
    added: fc.constantFrom("", '\n[tui]\ntheme = "dark"\n', "\n# a remark\n[tools.x]\ny = 1 # z\n"),
  });

  test("leaves the folder as it was before the first of any number of installs", () => {
    fc.assert(
      fc.property(folders, ({ profile: before, env, keys }) => {
        const start: Folder = {};
        if (before !== undefined) start[profile] = before;
        if (env !== undefined) start["box.env"] = env;
        let state: { folder: Folder; record?: InstallRecord } = { folder: start };
        for (const key of keys) state = install(state.folder, key, state.record);
        expect(uninstall(state.folder, state.record as InstallRecord)).toEqual(start);
      }),
    );
  });

  test("keeps what a user added in between, and gives back the values that were replaced", () => {
    fc.assert(
      fc.property(folders, ({ profile: before, keys, added }) => {
        let state: { folder: Folder; record?: InstallRecord } = {
          folder: before === undefined ? {} : { [profile]: before },
        };
        for (const key of keys) {
          state = install(state.folder, key, state.record);
        }
        const edited = { ...state.folder, [profile]: `${state.folder[profile]}${added}` };
        const again = install(edited, keys[0], state.record);
        const left = uninstall(again.folder, again.record)[profile];
        expect(parse(left ?? "")).toEqual(parse((before ?? "") + added));
        for (const remark of added.match(/#.*/g) ?? []) expect(left).toContain(remark);
      }),
    );
  });

  test("leaves a file alone that somebody changed since", () => {
    const { folder, record } = install({}, "k");
    const changed = { ...folder, "codex-box": "#!/bin/sh\nmine\n" };
    const { kept, changes } = planUninstall(record, changed);
    expect(kept).toEqual(["codex-box"]);
    expect(apply(changed, changes)).toEqual({ "codex-box": "#!/bin/sh\nmine\n" });
  });

  test("leaves a value that the user chose since", () => {
    const { folder, record } = install({}, "k");
    const chosen = folder[profile]?.replace('model = "Qwen3.6-27B"', 'model = "other"');
    expect(uninstall({ ...folder, [profile]: chosen }, record)[profile]?.trim()).toBe('model = "other"');
  });
});
