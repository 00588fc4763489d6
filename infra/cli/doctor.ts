/** `lmstack doctor`: everything that an endpoint stands on, looked at from the operator's side, each with what puts it right. Changes nothing. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { profileName } from "../codex/artifacts.ts";
import { installLine, isOlder, testedCodex } from "../codex/explain.ts";
import { documentsOf } from "../host/documents.ts";
import type { HostFacts } from "../host/facts.ts";
import { preflightByConcern } from "../host/preflight.ts";
import { driftLines, knownOf, look, surveyHost } from "../host/survey.ts";
import { type Keys, keysFingerprint, ownKey, usableWith } from "../proxy/keys.ts";
import { Faults } from "../spec/faults.ts";
import type { DoctorDocument, DoctorReport, Finding } from "../spec/host-documents.ts";
import { baseUrl, type HostSpec, isRemote } from "../spec/host-spec.ts";
import { parseHostSpec } from "../spec/parse.ts";
import { codexFolder } from "./codex.ts";
import { askEndpoint, codexVersion } from "./codex-check.ts";
import { CliFault, exitCodes } from "./fault.ts";
import { findingLines, findingsOf, fine, healthy } from "./findings.ts";
import { askHostctl } from "./on-host.ts";
import { progress } from "./progress.ts";
import { askPulumi, hasStack } from "./pulumi.ts";
import { stackOf } from "./stack-file.ts";
import { configurationOf, keysOf } from "./stack-spec.ts";

/** The oldest Node that runs the program; `infra/main.js` says the same to Pulumi. */
const oldestNode = 24;

export async function doctor(options: { readonly stack?: string; readonly json?: boolean }): Promise<void> {
  const findings: Finding[] = [];
  /** @returns undefined when it failed, and that is a finding then */
  const check = async <T>(
    name: string,
    work: () => Promise<T>,
    words: (value: T) => string,
  ): Promise<T | undefined> => {
    try {
      const value = await progress(`looking at ${name}`, work());
      findings.push(fine(name, words(value)));
      return value;
    } catch (error) {
      findings.push(...findingsOf(name, error));
      return undefined;
    }
  };
  await check(
    "node",
    async () => nodeVersion(),
    (version) => `Node ${version}`,
  );
  const engine = await check(
    "engine",
    () => askPulumi(["version"], undefined),
    (version) => `Pulumi ${version.trim()}`,
  );
  const backend = engine && (await check("backend", whereState, (url) => `state is kept at ${url}`));
  const stack =
    backend &&
    (await check(
      "stack",
      () => existingStack(options.stack),
      (name) => name,
    ));
  const configuration =
    stack &&
    (await check(
      "passphrase",
      () => configurationOf(stack),
      () => "the stack's secrets can be read",
    ));
  const spec =
    configuration &&
    (await check(
      "spec",
      async () => parseHostSpec(configuration["lmstack:host"]?.objectValue),
      () => "no fault",
    ));
  if (stack && configuration && spec) {
    const keys = await check("keys", async () => keysOf(spec, configuration), keyWords(spec));
    const facts = await check(
      "ssh",
      () => reachable(spec, stack),
      () => reachWords(spec),
    );
    if (facts) findings.push(...(await hostFindings(spec, stack, facts, keys)));
    await check(
      "endpoint",
      () => endpoint(spec, keys ?? []),
      () => `${baseUrl(spec)} answers here${keys?.length ? ", and knows the key" : ""}`,
    );
    findings.push(...(await codexFindings(stack)));
  }
  if (options.json) console.log(JSON.stringify({ ok: healthy(findings), stack: stack ?? null, findings }));
  else for (const line of findingLines(findings)) console.log(line);
  if (!healthy(findings)) process.exitCode = exitCodes.unhealthy;
}

function nodeVersion(): string {
  if (Number(process.versions.node.split(".")[0]) >= oldestNode) return process.version;
  throw new CliFault(`this is Node ${process.version}, expected ${oldestNode} or newer. Next: \`npm run setup\``);
}

async function whereState(): Promise<string> {
  const { url } = JSON.parse(await askPulumi(["whoami", "--json"], undefined)) as { url: string };
  return url;
}

async function existingStack(given: string | undefined): Promise<string> {
  const { stack } = await stackOf(given);
  if (await hasStack(stack)) return stack;
  throw new CliFault(
    `the backend has no stack ${stack}. Next: \`npx lmstack serve\`, or \`pulumi stack init ${stack}\``,
  );
}

async function reachable(spec: HostSpec, stack: string): Promise<HostFacts> {
  const { facts, fault } = await look(spec, stack);
  if (facts) return facts;
  throw new Faults("the host cannot be looked at:", [fault]);
}

const reachWords = ({ connection }: HostSpec): string =>
  isRemote(connection)
    ? `${connection.user}@${connection.host}:${connection.port} lets us in and shows the pinned host key`
    : "this machine, without ssh";

const keyWords = (spec: HostSpec) => (): string =>
  spec.proxy.keys.length > 0
    ? spec.proxy.keys.map(({ id }) => id).join(", ")
    : "none: whoever reaches the proxy may use it";

/** What `up` would refuse, what drifted, and what the host says of itself. */
async function hostFindings(
  spec: HostSpec,
  stack: string,
  facts: HostFacts,
  keys: Keys | undefined,
): Promise<Finding[]> {
  const concerns = Object.entries(
    preflightByConcern(spec, documentsOf(spec, stack, knownOf(facts).architecture), facts),
  );
  const findings = concerns.flatMap(([concern, faults]) =>
    faults.length === 0 ? [fine(concern, "in order")] : findingsOf(concern, new Faults("", faults)),
  );
  if (healthy(findings) && keys !== undefined) {
    const { judgements } = await progress(
      "comparing",
      surveyHost(spec, stack, keysFingerprint(keys, stack), async () => null),
    );
    const drift = driftLines(judgements);
    const fix = "`npx lmstack up`";
    findings.push(
      ...(drift.length === 0
        ? [fine("drift", "as declared")]
        : drift.map((words): Finding => ({ check: "drift", verdict: "problem", words, fix }))),
    );
  }
  if (facts.runtime === null)
    return [
      ...findings,
      { check: "host", verdict: "problem", words: "nothing of lmstack is on the host yet", fix: "`npx lmstack up`" },
    ];
  const document: DoctorDocument = {
    ...{ stack, become: spec.connection.become, platform: spec.platform },
    listen: { host: spec.proxy.bind, port: spec.proxy.port },
    modelPaths: spec.models.flatMap(({ source, import: how }) => (source.path && how !== "move" ? [source.path] : [])),
  };
  const asked = await progress("asking the host", askHostctl<DoctorReport>(spec, stack, "doctor", document));
  return "observed" in asked
    ? [...findings, ...asked.observed.findings]
    : [
        ...findings,
        {
          check: "host",
          verdict: "unknown",
          words: `hostctl doctor gave no answer: ${asked.fault}`,
          fix: "`npx lmstack up` brings a fresh hostctl",
        },
      ];
}

async function endpoint(spec: HostSpec, keys: Keys): Promise<void> {
  const key = ownKey(keys);
  await askEndpoint({ baseUrl: baseUrl(spec), model: usableWith(key, spec.models)[0]?.id }, key?.value);
}

/** Codex is not needed for the endpoint to serve, so what is missing is a warning. */
async function codexFindings(stack: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    const version = await codexVersion();
    findings.push(
      isOlder(version, testedCodex)
        ? {
            check: "codex",
            verdict: "warning",
            words: `Codex ${version}; tried with ${testedCodex}`,
            fix: installLine,
          }
        : fine("codex", `Codex ${version}`),
    );
  } catch (error) {
    findings.push(...findingsOf("codex", error).map((finding): Finding => ({ ...finding, verdict: "warning" })));
  }
  const profile = join(codexFolder({}), `${profileName(stack)}.config.toml`);
  const there = await access(profile).then(
    () => true,
    () => false,
  );
  findings.push(
    there
      ? fine("codex-profile", profile)
      : {
          check: "codex-profile",
          verdict: "warning",
          words: `${profile} is not there`,
          fix: `\`npx lmstack codex install --stack ${stack}\``,
        },
  );
  return findings;
}
