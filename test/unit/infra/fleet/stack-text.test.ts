/** Stack files of a fleet: written from the inventory, with whatever a person did to them kept or told. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { stackText } from "../../../../infra/fleet/stack-text.ts";
import { exampleSpec } from "../spec/example.ts";

const host = { name: "box1", declared: exampleSpec() };
const write = (text: string | undefined, declared = host.declared) =>
  stackText({ name: "box1", declared }, text, "Pulumi.box1.yaml", "fleet.yaml");
const fresh = write(undefined).after;

test("a new file holds the spec, and writing it again changes nothing", () => {
  expect(parse(fresh).config["lmstack:host"]).toEqual(host.declared);
  expect(write(fresh)).toEqual({ after: fresh, edits: [] });
});

test("a change of the inventory is no edit by hand, and secrets, other keys and comments stay", () => {
  const before = `# ours\nencryptionsalt: v1:abc\n${fresh.replace("config:", "config:\n  lmstack:secret.team-a:\n    secure: v1:xyz # Anna's")}`;
  const { after, edits } = write(
    before,
    exampleSpec((s) => {
      s.proxy.port = 9090;
    }),
  );
  expect(edits).toEqual([]);
  expect(parse(after).config["lmstack:host"].proxy.port).toBe(9090);
  for (const kept of ["# ours", "encryptionsalt: v1:abc", "secure: v1:xyz # Anna's"]) expect(after).toContain(kept);
});

test("an edit by hand is told with its file, key, both values and both ways on, whatever the inventory says by now", () => {
  const edited = fresh.replace("user: gpu", "user: root");
  const [edit, ...more] = write(edited).edits;
  expect(more).toEqual([]);
  expect(edit).toEqual({
    where: "Pulumi.box1.yaml lmstack:host.connection.user",
    found: '"root"',
    expected: '"gpu", as fleet.yaml has it',
    next: expect.stringMatching(/hosts\.box1\.spec of fleet\.yaml.*fleet sync --overwrite box1/),
  });
  const newer = exampleSpec((s) => {
    s.proxy.port = 9090;
  });
  expect(write(edited, newer).edits.map(({ where }) => where)).toContain(
    "Pulumi.box1.yaml lmstack:host.connection.user",
  );
});

test("a file that somebody wrote before there was a fleet is theirs, unless it says the same", () => {
  const unmarked = fresh.replace(/ {2}lmstack:fleet: .*\n/, "");
  expect(write(unmarked).edits).toEqual([]);
  expect(write(unmarked).after).toBe(fresh);
  expect(write(unmarked.replace("user: gpu", "user: root")).edits).toHaveLength(1);
});

test("an edit that the inventory has taken over is no edit any more", () => {
  const edited = fresh.replace("user: gpu", "user: root");
  const taken = write(
    edited,
    exampleSpec((s) => {
      s.connection.user = "root";
    }),
  );
  expect(taken.edits).toEqual([]);
  expect(
    write(
      taken.after,
      exampleSpec((s) => {
        s.connection.user = "root";
      }),
    ),
  ).toEqual({ after: taken.after, edits: [] });
});

test("a text that Pulumi's YAML would read as a date stands in quotes", () => {
  const declared = exampleSpec((s) => {
    s.proxy.keys = [{ id: "me", expires: "2027-01-01T00:00:00Z" }];
  });
  expect(write(undefined, declared).after).toContain('expires: "2027-01-01T00:00:00Z"');
});

test("every text comes back as the same text, whatever Pulumi's YAML would make of it", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.constantFrom("22:00", "1e3", "0x1f", "yes", "null", "2027-01-01", "~")),
      (text) => {
        const declared = exampleSpec((s) => {
          s.lmstudio.note = text;
        });
        expect(parse(write(undefined, declared).after).config["lmstack:host"]).toEqual(declared);
      },
    ),
  );
});
