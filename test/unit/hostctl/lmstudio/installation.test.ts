import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create } from "tar";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Host, hostAt } from "../../../../hostctl/host.ts";
import { bootstrap, pruneVersions, uninstall } from "../../../../hostctl/lmstudio/installation.ts";
import { changeInstalled, readInstalled } from "../../../../hostctl/lmstudio/installed.ts";
import { stageTarball } from "../../../../hostctl/lmstudio/tarball.ts";
import { installedVersion } from "../../../../hostctl/lmstudio/versions.ts";

let host: Host;
const said: string[] = [];

beforeEach(async () => {
  said.length = 0;
  host = hostAt(await mkdtemp(join(tmpdir(), "lmstack-install-")), (line) => said.push(line));
});
afterEach(() => rm(host.home, { recursive: true }));

async function put(path: string, text: string, mode = 0o644): Promise<void> {
  const file = join(host.home, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  await chmod(file, mode);
}

/** A program that installs itself as LM Studio's does, as far as these tests look. */
function program(version: string): string {
  const home = '"$HOME/.lmstudio"';
  return `#!/bin/sh
[ "$1" = bootstrap ] || exit 0
${version === "0.0.2-1" ? `[ -e "$HOME/busy" ] || { touch "$HOME/busy"; echo "sh: Text file busy" >&2; exit 126; }` : ""}
mkdir -p ${home}/llmster/${version} ${home}/.internal ${home}/bin ${home}/models
[ -e ${home}/llmster/${version}/llmster ] || cp "$0" ${home}/llmster/${version}/llmster
printf '#!/bin/sh\\necho not-running\\n' > ${home}/bin/lms
chmod 755 ${home}/bin/lms
echo "{\\"path\\":\\"$HOME/.lmstudio/llmster/${version}/llmster\\"}" > ${home}/.internal/llmster-install-location.json
`;
}

async function install(version: string): Promise<void> {
  await put(`unpacked/${version}/llmster`, program(version), 0o755);
  await bootstrap(host, version, "ab".repeat(64), join(host.home, "unpacked", version));
}

test("versions lie side by side; Text file busy right after unpacking is waited out; only what lmstack installed is pruned", async () => {
  await install("0.0.1-1");
  await install("0.0.2-1");
  await put(".lmstudio/llmster/0.0.0-9/llmster", "a person's own");
  expect(await installedVersion(host)).toBe("0.0.2-1");
  await install("0.0.3-1");
  await pruneVersions(host, ["0.0.3-1", "0.0.2-1"]);
  expect((await readdir(join(host.paths.lmstudio, "llmster"))).sort()).toEqual(["0.0.0-9", "0.0.2-1", "0.0.3-1"]);
  expect((await readInstalled(host))?.versions.map(({ version }) => version)).toEqual(["0.0.2-1", "0.0.3-1"]);
});

test("removal takes every version and all that came with them, but no model of anybody", async () => {
  await put(".lmstudio/models/mine/big/big.gguf", "GGUF");
  await put(".lmstudio/notes.txt", "mine");
  await install("0.0.1-1");
  await install("0.0.3-1");
  await put(".lmstudio/models/local/empty/.keep", "");
  await rm(join(host.paths.lmstudio, "models/local/empty/.keep"));
  await changeInstalled(host, () => ({ good: "0.0.3-1" }));
  await uninstall(host);
  expect((await readdir(host.paths.lmstudio)).sort()).toEqual(["models", "notes.txt"]);
  expect(await readFile(join(host.paths.lmstudio, "models/mine/big/big.gguf"), "utf8")).toBe("GGUF");
  expect(await readInstalled(host)).toBeNull();
});

test("removal leaves nothing where there was nothing, and a model that somebody put there since", async () => {
  await install("0.0.1-1");
  await uninstall(host);
  expect(await readdir(host.home)).not.toContain(".lmstudio");
  await install("0.0.1-1");
  await put(".lmstudio/models/later/one.gguf", "GGUF");
  await uninstall(host);
  expect(await readdir(host.paths.lmstudio, { recursive: true })).toEqual([
    "models",
    "models/later",
    "models/later/one.gguf",
  ]);
});

test("an archive that is cut off goes on at a mirror; one with a wrong digest is not unpacked", async () => {
  await put("pack/llmster", `#!/bin/sh\n# ${"x".repeat(200_000)}\n`, 0o755);
  await create({ cwd: join(host.home, "pack"), file: join(host.home, "a.tar"), portable: true }, ["llmster"]);
  const bytes = await readFile(join(host.home, "a.tar"));
  const sha512 = createHash("sha512").update(bytes).digest("hex");
  const ranges: (string | undefined)[] = [];
  const length = String(bytes.length);
  const cutting = await serve((_, response) => {
    response.writeHead(200, { "content-length": length, "accept-ranges": "bytes" });
    response.write(bytes.subarray(0, 65_536), () => response.destroy());
  });
  const mirror = await serve((request, response) => {
    ranges.push(request.headers.range);
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const head = {
      "content-length": String(bytes.length - from),
      "content-range": `bytes ${from}-${bytes.length - 1}/${length}`,
    };
    response.writeHead(from > 0 ? 206 : 200, head).end(bytes.subarray(from));
  });
  const [url, other] = [cutting, mirror].map(
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.tar`,
  );
  const document = {
    stack: "s",
    token: "t",
    become: "none",
    platform: "linux-cpu",
    version: "0.0.1-1",
    url: url ?? "",
    mirrors: [other ?? ""],
    backendPort: 1,
  } as const;
  try {
    const folder = await stageTarball(host, document, sha512);
    expect(await readdir(folder)).toEqual(["llmster"]);
    expect(ranges.every((range) => range === undefined || /^bytes=\d+-/.test(range))).toBe(true);
    expect(ranges.some((range) => range !== undefined)).toBe(true);
    await rm(host.paths.downloads, { recursive: true });
    await expect(stageTarball(host, { ...document, url: document.mirrors[0] }, "0".repeat(128))).rejects.toMatchObject({
      code: "checksum_mismatch",
      message: expect.stringContaining(sha512),
    });
    expect(await readdir(host.paths.downloads)).toEqual([]);
  } finally {
    for (const server of [cutting, mirror]) server.close();
  }
});

async function serve(answer: Parameters<typeof createServer>[1]): Promise<Server> {
  const server = createServer(answer as Exclude<typeof answer, undefined>);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
