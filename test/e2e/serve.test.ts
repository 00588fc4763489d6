/** The old script's user: one command from a bare account on a prepared host to an answering endpoint, and the verbs around it. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { projectRoot } from "../pulumi/stack.ts";
import { type Box, startBox, thinker } from "./box.ts";
import { askResponses } from "./endpoint.ts";

const stack = "e2e-serve";
const folder = join(projectRoot, ".lmstack", "test", stack);
const file = join(projectRoot, `Pulumi.${stack}.yaml`);
let box: Box;

/** As a person without any Pulumi set-up of their own calls it. */
const lmstack = (...words: readonly string[]) => command(...words, "--stack", stack);
async function command(...words: readonly string[]) {
  const { LMSTACK_NODE, PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE_FILE, PULUMI_CONFIG_PASSPHRASE, ...environment } =
    process.env;
  const called = await execa(join(projectRoot, "infra/cli/lmstack.mjs"), words, {
    extendEnv: false,
    env: {
      ...environment,
      XDG_STATE_HOME: folder,
      LMSTACK_SSH_IDENTITY: box.host.identityFile,
      LMS_CONTEXT_LENGTH: "32768",
    },
    reject: false,
    stdin: "ignore",
  });
  return { code: called.exitCode, out: called.stdout, said: called.stderr };
}
const data = (called: { out: string; said: string }) => {
  // One document and nothing else; what went wrong is on the other stream.
  expect(() => JSON.parse(called.out), called.said).not.toThrow();
  return JSON.parse(called.out);
};
const served = () =>
  lmstack(
    "serve",
    `/models/${thinker}.gguf`,
    "served",
    "--host",
    `gpu@${box.host.address}`,
    "--accept-host-key",
    "--json",
  );

beforeAll(async () => {
  box = await startBox({ name: "serve", realModel: false, onProgress: (line) => console.log(`   ${line}`) });
  // Where this site has its copy of LM Studio; the rest is for `serve` to write.
  const { version, url, sha512 } = box.installer;
  await writeFile(file, stringify({ config: { "lmstack:host": { lmstudio: { version, url, sha512 } } } }));
});

afterAll(async () => {
  await box?.host.remove();
  await rm(file, { force: true });
  await rm(folder, { recursive: true, force: true });
  await rm(join(projectRoot, ".lmstack", stack), { recursive: true, force: true });
});

test("somebody's file is not changed without a word of agreement", async () => {
  const refused = await served();
  expect(refused.code, refused.said).toBe(1);
  expect(data(refused).problem).toMatch(/no terminal to ask at.*--yes/);
  expect(refused.said).toContain(`+   `);
});

test("a dry run shows the file and what would be made, and leaves nothing behind, here or there", async () => {
  const before = await readFile(file, "utf8");
  const dry = await lmstack(
    ...["serve", `/models/${thinker}.gguf`, "served", "--host", `gpu@${box.host.address}`, "--accept-host-key"],
    "--dry-run",
  );
  expect(dry.code, dry.said).toBe(0);
  expect(dry.out).toMatch(/id: served[\s\S]*contextLength: 32768[\s\S]*\d+ to create/);
  expect(await readFile(file, "utf8")).toBe(before);
  expect((await box.host.exec("ls -A ~ | grep -c lmstack || true")).stdout.trim()).toBe("0");
  expect((await lmstack("status")).said).toMatch(/no stack named/);
});

test("one command makes an endpoint that answers, and the model does not think where the script never looked", async () => {
  const words = ["serve", `/models/${thinker}.gguf`, "served", "--host", `gpu@${box.host.address}`];
  const first = await lmstack(...words, "--accept-host-key", "--yes", "--json");
  expect(first.code, first.said).toBe(0);
  const { endpoint, resources, changed } = data(first);
  expect({ endpoint, changed }).toEqual({ endpoint: `http://${box.host.address}:8080/v1`, changed: true });
  expect(resources.create).toBeGreaterThan(10);
  expect(first.said).toMatch(/shows the host key SHA256:/);
  const answer = await askResponses({ baseUrl: endpoint, model: "served", prompt: "Say hello." });
  expect(answer.status, answer.text).toBe(200);
  expect(answer.text).not.toBe("");
  expect(answer.reasoningTokens).toBe(0);
});

test("the same command again changes nothing", async () => {
  const again = await served();
  expect(again.code, again.said).toBe(0);
  const { changed, resources } = data(again);
  expect(changed).toBe(false);
  expect(Object.keys(resources)).toEqual(["same"]);
});

test("status says ready, the model is listed, and the logs speak of it without a prompt", async () => {
  const status = await lmstack("status", "--json");
  expect(status.code, status.said).toBe(0);
  expect(data(status)).toMatchObject({ ready: true, models: [{ id: "served", loaded: true, thinking: "off" }] });
  const [model] = data(await lmstack("model", "list", "--json"));
  expect(model).toMatchObject({ id: "served", load: { contextLength: 32768 } });
  for (const part of ["supervisor", "proxy"]) {
    const logs = await lmstack("logs", part);
    expect(logs.code, logs.said).toBe(0);
    expect(logs.out.trim(), part).not.toBe("");
    expect(logs.out).not.toContain("Say hello.");
  }
});

test("doctor finds nothing in the way but what this box really lacks, and says what puts it right", async () => {
  const doctor = await lmstack("doctor", "--json");
  const { findings } = data(doctor) as { findings: { check: string; verdict: string; fix?: string }[] };
  const problems = findings.filter(({ verdict }) => verdict === "problem");
  // The models of a test host lie on a volume that no fstab knows.
  expect(problems, doctor.said).toMatchObject([{ check: "model-mount", fix: expect.stringContaining("/etc/fstab") }]);
  expect(doctor.code).toBe(3);
  const fine = findings.filter(({ verdict }) => verdict === "ok").map(({ check }) => check);
  expect(fine).toEqual(
    expect.arrayContaining(["backend", "passphrase", "ssh", "docker", "driver", "drift", "endpoint"]),
  );
});

test("a fleet's plan leaves a host that is right alone, says what a change would do there, and touches nothing", async () => {
  const declared = parse(await readFile(file, "utf8")).config["lmstack:host"];
  const inventory = join(folder, "fleet.yaml");
  const fleet = async (verb: string, spec: object, ...words: string[]) => {
    await writeFile(inventory, stringify({ hosts: { [stack]: { spec } }, rollout: { keepServing: 0 } }));
    return await command("fleet", verb, "--file", inventory, "--json", ...words);
  };
  const synced = await fleet("sync", declared, "--yes");
  expect(data(synced)).toMatchObject({ written: [`Pulumi.${stack}.yaml`] });
  const right = await fleet("plan", declared);
  expect(right.code, right.out + right.said).toBe(0);
  expect(data(right)).toMatchObject({ waves: [], right: [stack], held: [] });

  const [model] = declared.models;
  const smaller = { ...model, load: { ...model.load, contextLength: 16384 } };
  const changed = await fleet("plan", { ...declared, models: [smaller] });
  expect(changed.code, changed.out + changed.said).toBe(0);
  const [first, ...more] = data(changed).waves;
  expect(more).toEqual([]);
  expect(first).toMatchObject({ canary: true, hosts: [{ host: stack }] });
  expect(first.hosts[0].steps[0]).toBe("model-served");
  await rm(inventory);
  expect(data(await lmstack("status", "--json")).ready).toBe(true);
});

test("unload frees the memory for good, and the file stays", async () => {
  const unloaded = await lmstack("unload", "served", "--yes", "--json");
  expect(unloaded.code, unloaded.said).toBe(0);
  expect(data(unloaded)).toMatchObject({ ok: true, changed: true, models: [] });
  const loaded = await box.host.exec("~/.lmstudio/bin/lms ps --json");
  expect(JSON.parse(loaded.stdout)).toEqual([]);
  expect((await box.host.exec(`test -s /models/${thinker}.gguf`, { reject: false })).exitCode).toBe(0);
});
