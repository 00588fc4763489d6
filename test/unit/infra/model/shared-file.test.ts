import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readPeerHosts } from "../../../../infra/model/peer-hosts.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { Scratch } from "../../hostctl/scratch.ts";
import { exampleSpec, hostKey } from "../spec/example.ts";
import { Homes } from "./homes.ts";

const program = fileURLToPath(new URL("../../../../infra/model/shared-file.ts", import.meta.url));

test("a host gets a model's file from another one, which shares it for that download only", {
  timeout: 60_000,
}, async () => {
  await using box = await Scratch.make({ lmstudio: false });
  await using peer = await Scratch.make({ lmstudio: false });
  await using homes = await Homes.make();
  const content = await readFile(join(peer.models, "alpha.gguf"));
  const sha256 = createHash("sha256").update(content).digest("hex");
  await peer.must("converge", "model-file", peer.model("alpha", { sha256 }));
  await homes.add(box, "box");
  await homes.add(peer, "peer");

  const words = ["ssh", "box", "-", "peer", "-", "127.0.0.1"];
  const child = spawn(process.execPath, [program, ...words], {
    cwd: homes.infra,
    env: { ...process.env, PATH: homes.path },
  });
  child.stdin.end(JSON.stringify(box.model("alpha", { source: { peers: [], file: "alpha.gguf" }, sha256 })));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, changed: [{ what: "model file alpha" }] });
  expect(stderr).toMatch(/peer shares the file at http:\/\/127\.0\.0\.1:80\d\d\n/);
  expect(await readFile(join(box.home, ".lmstack/store/sha256", sha256))).toEqual(content);
  await expect.poll(() => peer.processes("hostctl")).toEqual([]);
});

test("hosts that share are found by their stacks, and one that is not there is told by its place in the spec", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lmstack-peers-"));
  const spec = parseHostSpec(
    exampleSpec((example) => {
      example.models[0].source = { peerStacks: ["box2", "nowhere"], file: "a.gguf" };
    }),
  );
  try {
    const connection = `{host: 10.0.0.6, user: gpu, hostKey: "${hostKey}"}`;
    const host = `{platform: linux-cuda, connection: ${connection}, lmstudio: {user: lms}, models: []}`;
    await writeFile(join(folder, "Pulumi.box2.yaml"), `config:\n  lmstack:host: ${host}\n`);
    const { peers, faults } = readPeerHosts(spec, folder);
    expect(peers.get("box2")).toMatchObject({ address: "10.0.0.6", owner: "lms", connection: { port: 22 } });
    expect(faults).toMatchObject([{ where: "models[0].source.peerStacks (nowhere)" }]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
