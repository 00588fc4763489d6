/** One host from bare to bare, through the real engine: each test is a step of its life. */
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { changedSteps, type Outcome, type Stack } from "../pulumi/stack.ts";
import { type Box, nextTeamKey, openStack, smollm, specFor, startBox, teamKey, thinker } from "./box.ts";
import { pushBrokenImage } from "./broken-image.ts";
import { runCodex } from "./codex-run.ts";
import { drifts } from "./drift-by-hand.ts";
import { askChat, askResponses, readiness } from "./endpoint.ts";
import { difference, fingerprint } from "./host-fingerprint.ts";
import { argumentsDuring, formsFoundIn, formsOf } from "./planted-secret.ts";

let box: Box;
let stack: Stack;
let found: readonly string[];
/** Of an `up` that changes nothing. */
let unchangedSeconds = 0;

const say = (line: string) => console.log(`   ${line}`);
const changes = (outcome: Outcome) => changedSteps(outcome).map((step) => `${step.op} ${step.name}`);
/** Id and start of each container of this stack, running or not. */
const containers = async () => {
  const ids = "docker ps -aq --filter label=dev.lmstack.stack=e2e-life";
  const format = "{{.Id}} {{.State.StartedAt}} {{.State.Running}}";
  const { stdout } = await box.host.exec(`docker inspect -f '${format}' $(${ids})`);
  return stdout.trim().split("\n");
};
const baseUrl = () => `http://${box.host.address}:8080/v1`;

beforeAll(async () => {
  box = await startBox({ name: "life", onProgress: say });
  found = await fingerprint(box.host);
  stack = await openStack("e2e-life", box);
});

afterAll(async () => {
  await stack?.forget();
  await box?.host.remove();
});

describe("the life of a host", () => {
  test("one up brings a prepared host to life, with no secret in any process's arguments", async () => {
    const running = stack.up(say);
    const inArguments = await argumentsDuring(running, formsOf(teamKey));
    const outcome = await running;
    expect(outcome.exitCode, outcome.output).toBe(0);
    expect(inArguments).toEqual([]);
    say(`first up: ${outcome.seconds.toFixed(1)} s`);
  });

  test("a second up and a preview change nothing", async () => {
    const up = await stack.up();
    const preview = await stack.preview();
    unchangedSeconds = up.seconds;
    say(`unchanged up: ${up.seconds.toFixed(1)} s, preview: ${preview.seconds.toFixed(1)} s`);
    expect(changes(up), up.output).toEqual([]);
    expect(changes(preview), preview.output).toEqual([]);
  });

  test("the real GGUF answers with real tokens, streamed, through the proxy", async () => {
    const answer = await askResponses({
      baseUrl: baseUrl(),
      model: smollm,
      prompt: "Name a colour.",
      key: teamKey,
      maxTokens: 48,
    });
    say(
      `first token after ${answer.firstTokenMs.toFixed(0)} of ${answer.totalMs.toFixed(0)} ms: ${JSON.stringify(answer.text)}`,
    );
    expect(answer.status, answer.text).toBe(200);
    expect(answer.text.length).toBeGreaterThan(3);
    expect(answer.firstTokenMs).toBeLessThan(answer.totalMs);
  });

  test("the thinking model thinks when asked directly, and not through the proxy", async () => {
    const direct = await box.host.exec(
      `curl -s http://127.0.0.1:8081/v1/responses -H 'content-type: application/json' -d '{"model":"${thinker}","input":"Say hi."}'`,
    );
    const usage = JSON.parse(direct.stdout).usage.output_tokens_details.reasoning_tokens as number;
    expect(usage).toBeGreaterThan(0);
    for (const ask of [askResponses, askChat]) {
      const answer = await ask({ baseUrl: baseUrl(), model: thinker, prompt: "Say hi.", key: teamKey });
      expect(answer.status, answer.text).toBe(200);
      expect(answer.reasoningTokens).toBe(0);
      expect(answer.text).not.toBe("");
    }
  });

  test("nobody without a key gets an answer", async () => {
    expect((await askChat({ baseUrl: baseUrl(), model: thinker, prompt: "hi" })).status).toBe(401);
    expect((await askChat({ baseUrl: baseUrl(), model: thinker, prompt: "hi", key: "sk-wrong" })).status).toBe(401);
  });

  test("codex finishes a two-step task with the generated files, without a warning about the model", async () => {
    const run = await runCodex(stack, "Run a harmless command, then say what it printed.");
    say(`codex exec: ${run.seconds.toFixed(1)} s: ${run.answer.trim()}`);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.answer.trim()).not.toBe("");
    expect(run.log).not.toMatch(/metadata/i);
    expect(run.log).toMatch(/exec|echo/);
  });

  test("the proxy's container has no privileges, no writable root and the owner's uid", async () => {
    const { stdout } = await box.host.exec("docker inspect $(docker ps -q --filter label=dev.lmstack.stack=e2e-life)");
    const [container] = JSON.parse(stdout);
    const { HostConfig, Config } = container;
    expect(HostConfig.ReadonlyRootfs).toBe(true);
    expect(HostConfig.CapDrop).toEqual(["ALL"]);
    expect(HostConfig.SecurityOpt.join()).toContain("no-new-privileges");
    expect(HostConfig.NetworkMode).toBe("host");
    expect(HostConfig.DeviceRequests[0]).toMatchObject({ Count: -1 });
    expect(Config.User).toBe("1000:1000");
    expect(HostConfig.Binds ?? HostConfig.Mounts).toHaveLength(1);
    expect(Config.Env).toContain("NVIDIA_DRIVER_CAPABILITIES=utility");
  });

  test.each(drifts)("$name is seen by preview, repaired by up, and gone", async (drift) => {
    await drift.happen(box.host);
    const preview = await stack.preview();
    const drifted = changedSteps(preview).map((step) => step.name);
    expect(drifted.length, preview.output).toBeGreaterThan(0);
    expect(drifted.filter((name) => !drift.touches.test(name))).toEqual([]);
    const warnings = preview.diagnostics.filter(({ severity }) => severity === "warning").map(({ message }) => message);
    expect(warnings.join("\n")).toMatch(drift.says);
    const repair = await stack.up();
    expect(repair.exitCode, repair.output).toBe(0);
    const empty = await stack.up();
    expect(changes(empty), empty.output).toEqual([]);
  });

  test("a reboot brings everything back without an operator, and thinking that an update brought back too is found and told", async () => {
    const traps = "~/.lmstudio/.internal/sim-traps.json";
    await box.host.exec(`echo '{"thinksAnyway":true}' > ${traps}`);
    await box.host.reboot();
    await expect.poll(() => readiness(box.host.address), { timeout: 60_000, interval: 500 }).toBe(200);
    const proof = async () => {
      const { stdout } = await box.host.exec("cat ~/.lmstack/run/status.json", { reject: false });
      return JSON.parse(stdout || "{}").proofs?.[thinker];
    };
    await expect.poll(proof, { timeout: 30_000, interval: 500 }).toMatchObject({ ok: false });
    expect((await proof()).words).toMatch(/it thought: [\s\S]*asked: [\s\S]*came: /);
    // Somebody puts LM Studio right: the next `up` proves it, and says why it had to.
    await box.host.exec(`rm ${traps}`);
    const up = await stack.up();
    expect(changes(up), up.output).toEqual([expect.stringMatching(/ proof$/)]);
    const warnings = up.diagnostics.filter(({ severity }) => severity === "warning").map(({ message }) => message);
    expect(warnings.join("\n")).toMatch(/drift: proof: model .* it thought/);
  });

  test("another operator's key changes no resource", async () => {
    const other = `${box.host.identityFile}-other`;
    await execa("rm", ["-f", other, `${other}.pub`]);
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    const { stdout: publicKey } = await execa("cat", [`${other}.pub`]);
    await box.host.exec("cat >> ~/.ssh/authorized_keys", { stdin: `${publicKey}\n` });
    const colleague = await openStack("e2e-life", { ...box, host: { ...box.host, identityFile: other } });
    const up = await colleague.up();
    expect(changes(up), up.output).toEqual([]);
  });

  test("an image that never becomes healthy fails in words, and the old proxy goes on serving", async () => {
    await using image = await pushBrokenImage(box.host);
    await stack.configure(
      specFor(box, (spec) => {
        spec.proxy.image = image.reference;
      }),
      { "team-a": teamKey },
    );
    const failed = await stack.up();
    expect(failed.exitCode).not.toBe(0);
    expect(failed.output).toMatch(/healthy/);
    expect((await askChat({ baseUrl: baseUrl(), model: thinker, prompt: "hi", key: teamKey })).status).toBe(200);
  });

  test("a redeploy under a running stream cuts nothing, and leaves one container", async () => {
    const [before = ""] = (await containers()).filter((line) => line.endsWith("true"));
    await stack.configure(specFor(box), { "team-a": teamKey });
    // Long enough for the new container to be there in its middle; the old one then goes on until its end.
    const tokens = Math.round(Math.min(60, 10 + 4 * unchangedSeconds) / 0.05);
    let heard = "";
    let ended = false;
    const prompt = `sim:tokens=${tokens} sim:pace=50`;
    const onText = (text: string) => {
      heard += text;
    };
    const stream = askResponses({
      baseUrl: baseUrl(),
      model: thinker,
      prompt,
      key: teamKey,
      maxTokens: tokens,
      onText,
    });
    const end = () => {
      ended = true;
    };
    stream.then(end, end);
    await expect.poll(() => heard, { timeout: 20_000 }).toContain("word2");
    const redeploy = stack.up();
    const others = async () => (await containers()).filter((line) => line.endsWith("true") && line !== before);
    await expect.poll(others, { timeout: 120_000, interval: 200 }).toHaveLength(1);
    expect(ended).toBe(false);
    const [answer, good] = await Promise.all([stream, redeploy]);
    expect(good.exitCode, good.output).toBe(0);
    expect(answer.text.split(" ")).toEqual(Array.from({ length: tokens }, (_, index) => `word${index + 1}`));
    expect(await containers()).toHaveLength(1);
    expect(await containers()).not.toContain(before);
    expect((await askChat({ baseUrl: baseUrl(), model: thinker, prompt: "hi", key: teamKey })).status).toBe(200);
  });

  test("a rotated key takes effect without another container", async () => {
    const before = await containers();
    await stack.configure(specFor(box), { "team-a": nextTeamKey });
    const up = await stack.up();
    expect(up.exitCode, up.output).toBe(0);
    expect(await containers()).toEqual(before);
    const status = async (key: string) =>
      (await askChat({ baseUrl: baseUrl(), model: thinker, prompt: "hi", key })).status;
    expect([await status(teamKey), await status(nextTeamKey)]).toEqual([401, 200]);
    const preview = await stack.preview();
    expect(changes(preview), preview.output).toEqual([]);
  });

  test("no secret appears in state, history, output or on the host, in any form, failures included", async () => {
    const forms = [...formsOf(teamKey), ...formsOf(nextTeamKey)];
    const patterns = forms.flatMap((form) => ["-e", form]);
    expect(formsFoundIn(await stack.exportState(), forms)).toEqual([]);
    expect(formsFoundIn(stack.transcript.join("\n"), forms)).toEqual([]);
    const backend = new URL(stack.env.PULUMI_BACKEND_URL as string).pathname;
    const { stdout: inBackend } = await execa("grep", ["-rlF", ...patterns, backend], { reject: false });
    expect(inBackend).toBe("");
    const quoted = patterns.map((word) => `'${word}'`).join(" ");
    const { stdout: onHost } = await box.host.exec(
      `grep -rlF ${quoted} /home /etc /var/log /var/lib/docker/containers 2>/dev/null; journalctl --no-pager | grep -F ${quoted}; true`,
      { root: true },
    );
    expect(onHost).toBe("");
  });

  test("destroy leaves the host as it was found, and every model file where it was", async () => {
    const outcome = await stack.destroy();
    expect(outcome.exitCode, outcome.output).toBe(0);
    expect(difference(found, await fingerprint(box.host))).toEqual([]);
  });
});
