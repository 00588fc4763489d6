import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { mergeToml, pairs, TomlConflict } from "../../../../infra/codex/toml-edit.ts";

const ours = `model = "m"
web_search = "disabled"

[features]
daemon_auto_start = false

[model_providers.lms]
name = "lms API"
base_url = "http://10.0.0.5:8080/v1"
`;

/** Lines as people write them, our own keys among them. */
const value = fc.constantFrom(
  "1",
  '"a # \\" = [x]"',
  "'single # ='",
  '"""\nlong # text = 1\n"" [not.a.table]\n"""',
  "'''\n# = '' [x]\n'''",
  "[1, 2, # it's ] or \"\n  3]",
  '"""two quotes "" and one at the end""""',
  '{ a = 1, "b c" = [2] }',
  "1979-05-27T07:32:00Z",
);
const comment = fc.constantFrom("", "  # a reason", "\t# model = 1");
const pair = (name: string) => fc.tuple(value, comment).map(([of, why]) => `${name} = ${of}${why}\n`);
const trivia = fc.constantFrom("", "\n", "# mine: model = 2\n", "\n# [features]\n");
const section = (header: string, names: readonly string[]) =>
  fc
    .tuple(trivia, fc.subarray([...names]), comment, trivia)
    .chain(([before, chosen, why, after]) =>
      fc
        .tuple(...chosen.map(pair))
        .map((lines) => `${before}${header === "" ? "" : `${header}${why}\n`}${lines.join("")}${after}`),
    );
const profile = fc
  .tuple(
    section("", ["model", "zeta", '"quoted key"', "notice.hide", "web_search"]),
    fc.option(section("[features]", ["daemon_auto_start", "other"]), { nil: "" }),
    fc.option(section("[mcp_servers.docs]", ["command", "args"]), { nil: "" }),
    fc.option(section("[[hooks]]", ["name", "model"]), { nil: "" }),
    fc.option(section("[ model_providers . lms ]", ["name", "http_headers"]), { nil: "" }),
    fc.option(section("[model_providers.other]", ["name", "base_url"]), { nil: "" }),
  )
  .map((parts) => parts.join(""));

const comments = (text: string) => text.match(/#.*/g) ?? [];

test("whatever a user has written, our keys get their values and everything else stays, comments too", () => {
  fc.assert(
    fc.property(profile, (text) => {
      const merged = mergeToml(text, ours);
      expect(parse(merged)).toMatchObject(parse(ours));
      const owned = new Set(pairs(ours).map(({ path }) => JSON.stringify(path)));
      const foreign = pairs(text).filter(({ path }) => path === undefined || !owned.has(JSON.stringify(path)));
      const kept = pairs(merged).map(({ path, value: of }) => JSON.stringify([path, of]));
      for (const { path, value: of } of foreign) expect(kept).toContain(JSON.stringify([path, of]));
      // A comment inside a value of ours goes with the value.
      const all = pairs(text)
        .filter(({ path }) => path !== undefined && owned.has(JSON.stringify(path)))
        .reduceRight((rest, { valueStart, valueEnd }) => rest.slice(0, valueStart) + rest.slice(valueEnd), text);
      for (const words of comments(all)) expect(merged).toContain(words);
      expect(mergeToml(merged, ours)).toBe(merged);
    }),
    { numRuns: 500 },
  );
});

describe("places", () => {
  test("a top-level key stands above every table, below what the user has there", () => {
    expect(mergeToml('# my notes\nzeta = 1 # why\n\n[mcp_servers.x]\ncommand = "y"\n', 'model = "m"\n')).toBe(
      '# my notes\nzeta = 1 # why\nmodel = "m"\n\n[mcp_servers.x]\ncommand = "y"\n',
    );
    expect(mergeToml("# about x\n[x]\ny = 1\n", 'model = "m"\n')).toBe('model = "m"\n\n# about x\n[x]\ny = 1\n');
  });

  test("a value is replaced where it stands, and the remark behind it stays", () => {
    expect(mergeToml('model  =  "old" # the big one', 'model = "m"\n')).toBe('model  =  "m" # the big one\n');
  });

  test("a table that is written with dotted keys gets another dotted key", () => {
    expect(mergeToml("features.other = true\n", "[features]\ndaemon_auto_start = false\n")).toBe(
      "features.other = true\nfeatures.daemon_auto_start = false\n",
    );
  });

  test("a table that is written in one line is refused, with what to do", () => {
    expect(() => mergeToml("features = { other = true }\n", ours)).toThrow(TomlConflict);
    expect(() => mergeToml("features = { other = true }\n", ours)).toThrow(/write it as a table \[features\]/);
  });

  test("windows' ends of lines stay", () => {
    expect(mergeToml('zeta = 1\r\nmodel = "o"\r\n', 'model = "m"\n')).toBe('zeta = 1\r\nmodel = "m"\r\n');
  });
});
