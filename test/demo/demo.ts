/** The demo's story: host, `up`, answers, Codex, a second `up` that changes nothing, and a table of what exists. */
import { access } from "node:fs/promises";
import { relative } from "node:path";
import { smollm, teamKey, thinker } from "../e2e/box.ts";
import { runCodex } from "../e2e/codex-run.ts";
import { askResponses } from "../e2e/endpoint.ts";
import { changedSteps, projectRoot, Stack } from "../pulumi/stack.ts";
import { Narrator, type StepTime } from "./narrator.ts";
import { findPlace, type Place, removePlace } from "./place.ts";

const name = "demo";

interface DemoResult {
  readonly place: Place["kind"];
  readonly baseUrl: string;
  readonly stack: { readonly name: string; readonly configFile: string };
  readonly firstUp: { readonly seconds: number; readonly changed: number };
  readonly secondUp: { readonly seconds: number; readonly changed: number };
  readonly realModel: {
    readonly model: string;
    readonly text: string;
    readonly firstTokenMs: number;
    readonly totalMs: number;
  };
  readonly thinkingModel: {
    readonly model: string;
    readonly askedDirectly: { readonly reasoningTokens: number };
    readonly throughTheProxy: { readonly reasoningTokens: number; readonly text: string };
  };
  readonly codex: { readonly exitCode: number; readonly seconds: number; readonly answer: string };
  readonly resources: readonly { readonly name: string; readonly type: string }[];
  readonly steps: readonly StepTime[];
  readonly leavesOut: readonly string[];
}

export async function demo({ json }: { json: boolean }): Promise<void> {
  const narrator = new Narrator();
  const { say } = narrator;
  const place = await narrator.step("a host to deploy to", () => findPlace(say));
  for (const loss of place.leavesOut) say(`   left out: ${loss}`);
  const stack = await Stack.open({ name, spec: place.spec, secrets: { "team-a": teamKey }, env: place.env });

  const firstUp = await narrator.step("pulumi up", () => succeed(stack.up(narrator.pulumi), "pulumi up"));
  say(`   ${changedSteps(firstUp).length} resources changed in ${firstUp.seconds.toFixed(1)} s`);

  const realModel = await narrator.step(`real tokens: ${smollm}, through the proxy`, () => {
    process.stderr.write("          ");
    return askResponses({
      baseUrl: place.baseUrl,
      model: smollm,
      prompt: "In one sentence: why is the sky blue?",
      key: teamKey,
      onText: (text) => process.stderr.write(text.replaceAll("\n", " ")),
    });
  });
  process.stderr.write("\n");
  expectAnswer(realModel, smollm);

  const thinkingModel = await narrator.step(
    `thinking off: ${thinker}, asked directly and through the proxy`,
    async () => {
      const direct = JSON.parse(
        await place.run(
          `curl -s http://127.0.0.1:${place.spec.lmstudio.backendPort ?? 8081}/v1/responses -H 'content-type: application/json' -d '{"model":"${thinker}","input":"Say hello."}'`,
        ),
      ) as { usage: { output_tokens_details: { reasoning_tokens: number } } };
      const proxied = await askResponses({
        baseUrl: place.baseUrl,
        model: thinker,
        prompt: "Say hello.",
        key: teamKey,
      });
      expectAnswer(proxied, thinker);
      const directTokens = direct.usage.output_tokens_details.reasoning_tokens;
      say(`   directly: ${directTokens} reasoning tokens; through the proxy: ${proxied.reasoningTokens}`);
      if (proxied.reasoningTokens !== 0)
        throw new Error(`${thinker} thought through the proxy (${proxied.reasoningTokens} tokens)`);
      return {
        model: thinker,
        askedDirectly: { reasoningTokens: directTokens },
        throughTheProxy: { reasoningTokens: proxied.reasoningTokens, text: proxied.text },
      };
    },
  );

  const codex = await narrator.step("codex exec, with the generated profile", () =>
    runCodex(stack, "Run a harmless command, then say what it printed."),
  );
  if (codex.exitCode !== 0) throw new Error(`codex exec ended with ${codex.exitCode}:\n${codex.log}`);
  say(`   codex: ${codex.answer.trim()}`);

  const secondUp = await narrator.step("pulumi up again", () => succeed(stack.up(), "the second pulumi up"));
  const again = changedSteps(secondUp);
  if (again.length > 0)
    throw new Error(`The second up was not empty: ${again.map((step) => `${step.op} ${step.name}`).join(", ")}`);
  say(`   ${secondUp.steps.length} resources, nothing changed`);

  const result: DemoResult = {
    place: place.kind,
    baseUrl: place.baseUrl,
    stack: { name, configFile: relative(projectRoot, stack.configFile) },
    firstUp: { seconds: round(firstUp.seconds), changed: changedSteps(firstUp).length },
    secondUp: { seconds: round(secondUp.seconds), changed: 0 },
    realModel: {
      model: smollm,
      text: realModel.text,
      firstTokenMs: round(realModel.firstTokenMs),
      totalMs: round(realModel.totalMs),
    },
    thinkingModel,
    codex: { exitCode: codex.exitCode, seconds: round(codex.seconds), answer: codex.answer.trim() },
    resources: secondUp.steps.map(({ name: resource, type }) => ({ name: resource, type })),
    steps: narrator.times,
    leavesOut: place.leavesOut,
  };
  process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : summary(result));
}

/** Removes the stack and the place. A second time there is nothing left to remove. */
export async function takeDown(): Promise<void> {
  const narrator = new Narrator();
  const configFile = `${projectRoot}/Pulumi.${name}.yaml`;
  const there = await access(configFile).then(
    () => true,
    () => false,
  );
  if (there) {
    const place = process.env.LMSTACK_DOCKER === "none" ? await findPlace(narrator.say) : undefined;
    const stack = await Stack.open({ name, spec: place?.spec ?? {}, ...(place ? { env: place.env } : {}) });
    // On a test host nothing needs to be undone one by one: the host itself goes.
    if (place) await narrator.step("pulumi destroy", () => succeed(stack.destroy(narrator.pulumi), "pulumi destroy"));
    await stack.forget();
  }
  await removePlace();
  narrator.say(there ? "everything that the demo made is gone" : "nothing of the demo is here");
}

async function succeed<T extends { exitCode: number; output: string }>(outcome: Promise<T>, what: string): Promise<T> {
  const settled = await outcome;
  if (settled.exitCode !== 0) throw new Error(`${what} ended with ${settled.exitCode}:\n${settled.output}`);
  return settled;
}

function expectAnswer(answer: { status: number; text: string }, model: string): void {
  if (answer.status !== 200 || answer.text === "")
    throw new Error(`${model} did not answer: ${answer.status} ${answer.text}`);
}

const round = (value: number) => Math.round(value * 10) / 10;

function summary(result: DemoResult): string {
  const widest = Math.max(...result.steps.map(({ step }) => step.length));
  const lines = [
    "",
    "What exists",
    `  endpoint    ${result.baseUrl}   (key: the secret lmstack:secret.team-a)`,
    `  models      ${result.realModel.model}, ${result.thinkingModel.model}`,
    `  stack       ${result.stack.name}, ${result.stack.configFile}, ${result.resources.length} resources`,
    `  where       ${result.place}`,
    "",
    "How long it took",
    ...result.steps.map(({ step, seconds }) => `  ${step.padEnd(widest)}  ${seconds.toFixed(1).padStart(6)} s`),
    "",
    `LM Studio is a stand-in here. For a real box: put its address, user and host key into connection of ${result.stack.configFile}, LM Studio's real version and sha512, and your GGUF.`,
    "Everything stays for you to look at; npm run demo -- --down removes it.",
    "",
  ];
  return lines.join("\n");
}
