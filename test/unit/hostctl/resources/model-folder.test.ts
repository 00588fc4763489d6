import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { folderDigest, folderNames } from "../../../../hostctl/resources/model-folder.ts";
import { isInside } from "../../../../hostctl/transfer/hub.ts";
import { writeScriptFolder } from "../../../lmstudio-sim/gguf/script-model.ts";
import { Scratch } from "../scratch.ts";

const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");
const listed = (files: Readonly<Record<string, string>>) =>
  Object.entries(files).map(([name, text]) => ({ name, sha256: sha256(text) }));

describe("the digest of a folder", () => {
  const files = fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { minKeys: 1, maxKeys: 8 });

  test("is the same in whatever order its files are found", () => {
    fc.assert(
      fc.property(
        files.chain((some) =>
          fc.tuple(
            fc.constant(listed(some)),
            fc.shuffledSubarray(listed(some), { minLength: Object.keys(some).length }),
          ),
        ),
        ([some, shuffled]) => {
          expect(folderDigest(shuffled)).toBe(folderDigest(some));
        },
      ),
    );
  });

  test("changes with any byte, any name, any file more or less", () => {
    fc.assert(
      fc.property(files, fc.nat(), fc.string({ minLength: 1 }), (some, at, more) => {
        const all = listed(some);
        const index = at % all.length;
        const one = all[index] ?? { name: "", sha256: "" };
        const changed = [
          all.with(index, { ...one, sha256: sha256(`${some[one.name]}${more}`) }),
          all.with(index, { ...one, name: `${one.name}${more}` }),
          all.toSpliced(index, 1),
          [...all, { name: `${Object.keys(some).join("")}${more}`, sha256: sha256("") }],
        ];
        for (const other of changed) expect(folderDigest(other)).not.toBe(folderDigest(all));
      }),
    );
  });

  test("is what shasum makes of the sorted list", () => {
    const lines = `${sha256("b")}  B.json\n${sha256("a")}  a/x.json\n`;
    expect(folderDigest(listed({ "a/x.json": "a", "B.json": "b" }))).toBe(sha256(lines));
  });
});

test("no name that a hub tells leads out of the model's folder", () => {
  for (const name of ["a.json", "sub/deeper/a.json", "..a"]) expect([name, isInside(name)]).toEqual([name, true]);
  for (const name of ["../a", "a/../../b", "/etc/a", "a//b", "", "a/", ".", "a\\b", "a\0", "a\nb"])
    expect([name, isInside(name)]).toEqual([name, false]);
});

const loadable = "local/mlx";
const linked = (host: Scratch, name: string) => join(host.home, ".lmstudio/models", loadable, name);
const paths = async (host: Scratch) =>
  (JSON.parse(await host.lms("ps", "--json")) as { path: string; format: string }[]).map(({ path, format }) => [
    path,
    format,
  ]);

describe("a folder on the host", () => {
  test("is linked file by file, loaded by its folder, observed, and left as it was in the end", {
    timeout: 120_000,
  }, async () => {
    await using host = await Scratch.make();
    const folder = join(host.models, "mlx");
    await writeScriptFolder(folder, { name: "mlx" });
    await mkdir(join(folder, "assets"));
    await writeFile(join(folder, "assets/template.txt"), "t");
    await writeFile(join(folder, ".DS_Store"), "finder");
    await symlink("config.json", join(folder, "also.json"));
    const names = ["also.json", "assets/template.txt", "config.json", "model.safetensors", "tokenizer.json"];
    expect(await folderNames(folder, [])).toEqual(names);
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
    const digest = folderDigest(names.map((name, index) => ({ name, sha256: sha256(texts[index] ?? "") })));
    const model = host.model("mlx", { source: { path: folder }, sha256: digest });

    const wrong = await host.run("converge", "model-file", { ...model, sha256: "0".repeat(64) });
    expect(wrong.error).toMatchObject({ code: "checksum_mismatch", message: expect.stringContaining(digest) });

    await host.must("converge", "lmstudio", host.lmstudio());
    // Somebody's own, in the very place.
    await mkdir(linked(host, ""), { recursive: true });
    await writeFile(linked(host, "notes.md"), "mine");
    await host.must("converge", "model-file", model);
    await host.must("converge", "model", model);
    expect(await paths(host)).toEqual([[loadable, "safetensors"]]);
    expect(await readlink(linked(host, "assets/template.txt"))).toBe(join(folder, "assets/template.txt"));
    expect((await host.must("converge", "model", model)).changed).toEqual([]);
    expect((await host.observe([model])).models.mlx).toMatchObject({ imported: true, verified: true });

    await writeFile(join(folder, "assets/template.txt"), "T");
    expect((await host.observe([model])).models.mlx).toMatchObject({ verified: false });
    await rm(join(folder, "assets/template.txt"));
    await writeFile(join(folder, "assets/template.txt"), "t");

    await host.must("remove", "model", model);
    await host.must("remove", "model-file", model);
    expect(await readdir(linked(host, ""))).toEqual(["notes.md"]);
    expect(await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")))).toEqual(texts);
  });

  test("that is no MLX model, or not there, is refused with the next step", async () => {
    await using host = await Scratch.make({ lmstudio: false });
    const model = host.model("mlx", { source: { path: host.models } });
    const answer = await host.run("converge", "model-file", model);
    expect(answer.error).toMatchObject({ code: "file_missing", message: expect.stringContaining("no *.safetensors") });
    const none = await host.run("converge", "model-file", { ...model, source: { path: "/none/such" } });
    expect(none.error).toMatchObject({
      code: "file_missing",
      message: expect.stringContaining("no folder /none/such"),
    });
  });
});

describe("a repository of a hub", () => {
  const script = (word: string) =>
    JSON.stringify({ model_type: "qwen3", "lmstudio_sim.script": { thinks: false }, word });
  let files: Record<string, string>;
  let large: readonly string[];
  let asked: string[];
  let spoilt: string | null;
  let hub: Server;

  beforeEach(async () => {
    files = {
      "config.json": script("one"),
      "sub/b c.txt": "text",
      "model.safetensors": "tensors",
      ".gitattributes": "x",
    };
    large = ["model.safetensors"];
    asked = [];
    spoilt = null;
    hub = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://hub");
      asked.push(pathname);
      if (request.headers.authorization !== "Bearer hf_sesame") return void response.writeHead(401).end();
      const resolved = /^\/o\/r\/resolve\/refs%2Fv1\/(.+)$/.exec(pathname)?.[1];
      if (resolved !== undefined) {
        const name = decodeURIComponent(resolved);
        return void response.end(name === spoilt ? "spoilt!" : files[name]);
      }
      if (pathname !== "/api/models/o/r/tree/refs%2Fv1") return void response.writeHead(404).end();
      // Two files a page.
      const all = Object.entries(files).map(([path, text]) => ({
        type: "file",
        oid: createHash("sha1")
          .update(`blob ${Buffer.byteLength(text)}\0${text}`)
          .digest("hex"),
        size: text.length,
        path,
        ...(large.includes(path) ? { lfs: { oid: sha256(text), size: text.length, pointerSize: 130 } } : {}),
      }));
      const from = Number(searchParams.get("cursor") ?? 0);
      const next = `<http://${request.headers.host}${pathname}?recursive=true&cursor=${from + 2}>; rel="next"`;
      response.writeHead(200, from + 2 < all.length ? { link: next } : {});
      response.end(
        JSON.stringify([{ type: "directory", oid: "0", size: 0, path: "sub" }, ...all.slice(from, from + 2)]),
      );
    });
    await new Promise<void>((resolve) => hub.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => new Promise<void>((resolve) => hub.close(() => resolve())));

  const model = (host: Scratch, changes: object = {}) =>
    host.model("mlx", {
      source: { url: `http://127.0.0.1:${(hub.address() as AddressInfo).port}/o/r/resolve/refs%2Fv1`, hub: true },
      credential: "hf_sesame",
      ...changes,
    });
  const digest = () => {
    const { ".gitattributes": _, ...own } = files;
    return folderDigest(listed(own));
  };

  test("is fetched whole and verified, loaded, replaced by its next version, and gone in the end", {
    timeout: 120_000,
  }, async () => {
    await using host = await Scratch.make();
    await host.must("converge", "lmstudio", host.lmstudio());
    await host.must("converge", "model-file", model(host));
    expect(asked).not.toContain("/o/r/resolve/refs%2Fv1/.gitattributes");
    const before = asked.length;
    await host.must("converge", "model-file", model(host));
    expect(asked).toHaveLength(before);
    await host.must("converge", "model", model(host));
    expect(await readFile(linked(host, "sub/b c.txt"), "utf8")).toBe("text");
    expect(await paths(host)).toEqual([[loadable, "safetensors"]]);
    expect((await host.observe([model(host)])).models.mlx).toMatchObject({ imported: true, verified: true });

    const { "sub/b c.txt": _, ...rest } = files;
    files = { ...rest, "config.json": script("two"), "model.safetensors": "better tensors" };
    const next = model(host, { sha256: digest() });
    await host.must("converge", "model-file", next);
    await host.must("converge", "model", next);
    expect(await readFile(linked(host, "model.safetensors"), "utf8")).toBe("better tensors");
    expect((await readdir(linked(host, ""))).sort()).toEqual(["config.json", "model.safetensors"]);
    expect((await readdir(join(host.home, ".lmstack/store/sha256"))).sort()).toEqual(
      [files["config.json"], files["model.safetensors"]].map((text) => sha256(text ?? "")).sort(),
    );

    await host.must("remove", "model", next);
    await host.must("remove", "model-file", next);
    expect(await readdir(join(host.home, ".lmstack/store/sha256"))).toEqual([]);
    await expect(access(linked(host, ""))).rejects.toThrow();
  });

  test.each([
    ["another digest than the spec's", { sha256: "0".repeat(64) }, {}, null, /digest/],
    ["a small file that is not what git has", {}, {}, "config.json", /git's digest/],
    ["a large file that is not what it told", {}, {}, "model.safetensors", /sha256/],
    ["a name that leads elsewhere", {}, { "../../x": "x" }, null, /the file name/],
    ["no tensors", {}, { "model.safetensors": undefined }, null, /no \*\.safetensors/],
  ])("with %s is refused, and nothing is imported", async (_, changes, others, name, words) => {
    await using host = await Scratch.make({ lmstudio: false });
    spoilt = name;
    files = Object.fromEntries(
      Object.entries({ ...files, ...others }).flatMap(([key, text]) => (text === undefined ? [] : [[key, text]])),
    );
    const { error } = await host.run("converge", "model-file", model(host, changes));
    expect(error?.message).toMatch(words);
    expect(
      (await host.files()).filter((path) => /store\/sha256\/./.test(path) && spoilt !== "model.safetensors"),
    ).toEqual([]);
  });
});
