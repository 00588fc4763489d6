import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { hostAt } from "../../../../hostctl/host.ts";
import { dropFiles, keepFiles, restoreFiles } from "../../../../hostctl/upgrade/kept-files.ts";

test("what a newer version writes outside of its folder is as the older one left it, after however many tries", async () => {
  const host = hostAt(await mkdtemp(join(tmpdir(), "lmstack-kept-")), () => {});
  const file = (path: string) => join(host.home, path);
  const put = async (path: string, text: string) => {
    await mkdir(dirname(file(path)), { recursive: true });
    await writeFile(file(path), text);
  };
  const older = {
    ".lmstudio/bin/lms": "#!/bin/sh\n",
    ".lmstudio/settings.json": '{"schema":1}',
    ".lmstudio/.internal/http-server-config.json": '{"port":8081}',
    ".lmstudio/.internal/llmster-install-location.json": '{"path":"older"}',
    ".lmstudio/.internal/backend-preferences-v1.json": '{"gguf":"older"}',
    ".lmstudio/.internal/user-concrete-model-default-config/local/a/a.gguf.json": "{}",
    ".lmstack/state/settings.json": "{}",
  };
  for (const [path, text] of Object.entries(older)) await put(path, text);
  await chmod(file(".lmstudio/bin/lms"), 0o755);
  await put(".lmstudio/.internal/http-server.json", '{"port":1}');
  await put(".lmstudio/models/local/a/a.gguf", "GGUF");
  try {
    await keepFiles(host);
    for (let time = 0; time < 2; time++) {
      for (const path of Object.keys(older)) await put(path, "of the newer one");
      await put(".lmstudio/.internal/http-server.json", '{"port":2}');
      await put(".lmstudio/models/local/a/a.gguf", "another GGUF");
      await rm(file(".lmstudio/bin/lms"));
      await restoreFiles(host);
      for (const [path, text] of Object.entries(older))
        expect([path, await readFile(file(path), "utf8")]).toEqual([path, text]);
      expect((await stat(file(".lmstudio/bin/lms"))).mode & 0o777).toBe(0o755);
    }
    // Not settings: a daemon's address, and a person's models.
    expect(await readFile(file(".lmstudio/.internal/http-server.json"), "utf8")).toBe('{"port":2}');
    expect(await readFile(file(".lmstudio/models/local/a/a.gguf"), "utf8")).toBe("another GGUF");
    await dropFiles(host);
    await put(".lmstudio/settings.json", "later");
    await restoreFiles(host);
    expect(await readFile(file(".lmstudio/settings.json"), "utf8")).toBe("later");
  } finally {
    await rm(host.home, { recursive: true });
  }
});
