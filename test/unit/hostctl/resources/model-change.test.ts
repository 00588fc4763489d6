import { createHash } from "node:crypto";
import { readdir, readFile, realpath } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Scratch } from "../scratch.ts";

const sha256Of = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("a downloaded model's former file serves and stays until the new one is loaded, also when that fails", {
  timeout: 120_000,
}, async () => {
  await using host = await Scratch.make();
  const files = Object.fromEntries(
    await Promise.all(
      ["alpha", "beta"].map(async (name) => [name, await readFile(join(host.models, `${name}.gguf`))] as const),
    ),
  );
  const server = createServer((request, response) => response.end(files[request.url?.split("/")[1] ?? ""]));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const version = (name: "alpha" | "beta") =>
    host.model("m", { source: { url: `${base}/${name}/m.gguf` }, sha256: sha256Of(files[name] as Buffer), repo: "m" });
  const stored = () => readdir(join(host.home, ".lmstack/store/sha256")).then((names) => names.sort());
  const imported = async () =>
    sha256Of(await readFile(await realpath(join(host.home, ".lmstudio/models/local/m/m.gguf"))));
  const [old, next] = [version("alpha"), version("beta")];
  try {
    await host.must("converge", "lmstudio", host.lmstudio());
    await host.must("converge", "model-file", old);
    await host.must("converge", "model", old);

    await host.must("converge", "model-file", next);
    expect(await imported()).toBe(old.sha256);
    expect(await stored()).toEqual([old.sha256, next.sha256].sort());
    host.setTraps({ loadFails: "out of memory" });
    expect((await host.run("converge", "model", next)).error).toMatchObject({ code: "load_failed" });
    expect(await imported()).toBe(old.sha256);
    host.setTraps({});
    await expect.poll(() => host.instances(), { timeout: 20_000 }).toEqual(["m"]);

    await host.must("converge", "model", next);
    expect([await imported(), await stored()]).toEqual([next.sha256, [next.sha256]]);
    expect(await host.instances()).toEqual(["m"]);
    await host.must("remove", "model", next);
    await host.must("remove", "model-file", next);
    expect((await host.files()).filter((path) => /downloads\/|sha256\//.test(path))).toEqual([]);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
