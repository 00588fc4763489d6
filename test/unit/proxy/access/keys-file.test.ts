import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keysFileWarning, parseKeysFile, readKeysFile } from "../../../../proxy/access/keys-file.ts";
import { ConfigFault } from "../../../../proxy/config.ts";
import { proxyKey, sha256 } from "./keys.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-keys-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const faultsOf = (keys: unknown, others = [] as ReturnType<typeof proxyKey>[]): string[] => {
  try {
    parseKeysFile(JSON.stringify({ keys }), "keys.json", others);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigFault);
    return (error as Error).message.split("\n");
  }
  return [];
};

describe("a keys file", () => {
  it("gives its keys, with what was left out filled in", async () => {
    const file = join(folder, "keys.json");
    await writeFile(file, JSON.stringify({ keys: [{ id: "a", sha256: sha256("x") }] }));
    expect(await readKeysFile(file)).toEqual([{ id: "a", sha256: sha256("x"), models: ["*"], admin: false }]);
  });

  it("may hold no key at all", () => {
    expect(parseKeysFile('{"keys": []}', "keys.json")).toEqual([]);
  });

  it("tells every fault at once, by place and name", () => {
    const faults = faultsOf([
      { id: "good", sha256: sha256("x") },
      { id: "team-b", sha256: "abc", requestsPerMinute: 0 },
      { sha256: sha256("y"), expires: "tomorrow" },
      { id: "team-d", sha256: sha256("z"), admin: "yes", colour: "red" },
    ]);
    expect(faults.every((line) => line.startsWith("keys.json: keys["))).toBe(true);
    const text = faults.join("\n");
    for (const place of [
      "keys[1] (team-b).sha256",
      "keys[1] (team-b).requestsPerMinute",
      "keys[2].id",
      "keys[2].expires",
      "keys[3] (team-d).admin",
    ]) {
      expect(text).toContain(place);
    }
    expect(text).toMatch(/keys\[3\] \(team-d\).*colour/);
  });

  it("refuses one name twice and one key twice, here or in the configuration", () => {
    const faults = faultsOf(
      [proxyKey("a"), proxyKey("a", {}, "other"), proxyKey("b", {}, "other"), proxyKey("c", {}, "of-config")],
      [proxyKey("conf", {}, "of-config"), proxyKey("a", {}, "third")],
    );
    expect(faults).toEqual([
      "keys.json: keys[0] (a): the id of keys[1] of the configuration too; give it one of its own",
      "keys.json: keys[1] (a): the id of keys[1] of the configuration too; give it one of its own",
      "keys.json: keys[2] (b): the same key as keys[1] (a); remove one",
      "keys.json: keys[3] (c): the same key as keys[0] of the configuration (conf); remove one",
    ]);
  });

  it.each([["no JSON: planted"], ["[]"], ["null"], ['{"key": []}']])("is refused when it holds %s", (text) => {
    const parse = () => parseKeysFile(text, "keys.json");
    expect(parse).toThrow(ConfigFault);
    expect(parse).toThrow(/^keys\.json: /);
    expect(parse).not.toThrow(/planted/);
  });

  it("that is not there is named with the setting that wants it", async () => {
    await expect(readKeysFile(join(folder, "none.json"))).rejects.toThrow(
      /none\.json: cannot be read \(ENOENT\).*keysFile/,
    );
  });
});

it("a file that others may write is used, with a warning that says how to mend it", async () => {
  const file = join(folder, "open.json");
  await writeFile(file, '{"keys": []}');
  await chmod(file, 0o664);
  expect(await keysFileWarning(file)).toMatch(/0664.*chmod 600/);
  expect(await readKeysFile(file)).toEqual([]);
  for (const mode of [0o600, 0o644]) {
    await chmod(file, mode);
    expect(await keysFileWarning(file)).toBeUndefined();
  }
});
