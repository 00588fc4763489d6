/** What `lmstack status` tells of a host: facts and drift in, one report and its words out. Pure. */
import type { HostFacts } from "../host/facts.ts";
import type { JournalEntry, Observed, ObservedProof } from "../spec/host-documents.ts";
import { baseUrl, type HostSpec, proxyRuntime } from "../spec/host-spec.ts";

export interface Report {
  /** Everything declared is there, serves, and is as declared. */
  readonly ready: boolean;
  readonly stack: string;
  readonly endpoint: string;
  /** Of the last `up`, in words; null before the first. */
  readonly proof: string | null;
  readonly card: HostFacts["gpu"];
  readonly lmstudio: Observed["lmstudio"] | null;
  readonly models: readonly {
    readonly id: string;
    readonly thinking: string;
    readonly loaded: boolean;
    readonly contextLength: number | null;
    readonly parallel: number | null;
    /** The last one of the instance that is loaded, `up`'s or the supervisor's own. */
    readonly proof: ObservedProof | null;
  }[];
  readonly proxy: { readonly runtime: "docker" | "native"; readonly serves: boolean; readonly words: string };
  /** A line for each resource that is not as declared. */
  readonly drift: readonly string[];
  /** Why the supervisor cannot make a resource as declared, by its name. */
  readonly failing: Readonly<Record<string, string>>;
  /** The newest last. */
  readonly journal: readonly JournalEntry[];
  /** Why nothing could be observed. */
  readonly silence?: string;
}

export function reportOf(
  spec: HostSpec,
  stack: string,
  { observed, runtime, gpu }: Pick<HostFacts, "observed" | "runtime" | "gpu">,
  drift: readonly string[],
  proof: string | null,
): Report {
  const models = spec.models.map(({ id, thinking }) => {
    const own = observed?.models[id]?.instances.find(({ identifier }) => identifier === id);
    const { contextLength = null, parallel = null } = own ?? {};
    const last = observed?.models[id]?.proof ?? null;
    return { id, thinking, loaded: own !== undefined, contextLength, parallel, proof: last?.current ? last : null };
  });
  const proxy = proxyOf(spec, observed);
  return {
    ready:
      answers(spec, observed) &&
      models.every(({ loaded, proof }) => loaded && proof?.ok !== false) &&
      drift.length === 0,
    ...{ stack, endpoint: baseUrl(spec), proof, card: gpu, lmstudio: observed?.lmstudio ?? null, models, proxy, drift },
    failing: observed?.failing ?? {},
    journal: observed?.journal ?? [],
    ...(observed ? {} : { silence: silence(runtime) }),
  };
}

/** Whether the host takes requests, whatever models it has. */
export const answers = (spec: HostSpec, observed: Observed | null): boolean =>
  observed?.lmstudio.daemon.running === true && observed.lmstudio.server.greeting && proxyOf(spec, observed).serves;

const silence = (runtime: string | null): string =>
  runtime === null
    ? "nothing of lmstack is on the host yet. Next: `npx lmstack up`"
    : "hostctl on the host gave no answer. Next: see .lmstack/STACK/ssh.log";

function proxyOf(spec: HostSpec, observed: Observed | null): Report["proxy"] {
  const runtime = proxyRuntime(spec);
  if (runtime === "native") {
    const active = observed?.proxy.service?.active === true;
    return { runtime, serves: active, words: active ? "its service runs" : "its service does not run" };
  }
  const containers = observed?.proxy.containers ?? [];
  const words = containers.map(
    ({ id, running, health, withoutGpu }) =>
      `container ${id.slice(0, 12)} ${running ? `runs, ${health}` : "is stopped"}${withoutGpu ? ", without the GPU" : ""}`,
  );
  return {
    runtime,
    serves: containers.some(({ running, health }) => running && health !== "unhealthy"),
    words: words.join("; ") || "no container",
  };
}

const journalLines = 10;

export function reportLines(report: Report): string[] {
  const { lmstudio, models, proxy, card, proof, drift, failing, journal } = report;
  const lines = [`${report.stack}: ${report.ready ? `ready at ${report.endpoint}` : "NOT READY"}`];
  if (report.silence) return [...lines, `  ${report.silence}`];
  if (lmstudio) lines.push(...lmstudioLines(lmstudio));
  if (card) lines.push(`  card        ${card.name}, ${card.memoryMiB} MiB, driver ${card.driver}`);
  for (const { id, thinking, loaded, contextLength, parallel, proof: last } of models) {
    const state = loaded ? `loaded, context ${contextLength ?? "?"}, parallel ${parallel ?? "?"}` : "NOT LOADED";
    lines.push(`  model       ${id}: ${state}, thinking ${thinking}`, ...(loaded ? proofLines(last) : []));
  }
  if (models.length === 0) lines.push("  model       none is declared");
  lines.push(`  proxy       ${proxy.words} (${proxy.runtime})`, `  last proof  ${proof ?? "none yet"}`);
  for (const line of drift) lines.push(`  ${line}`);
  if (drift.length > 0) lines.push("  Next: `npx lmstack up` repairs this");
  for (const [resource, why] of Object.entries(failing)) lines.push(`  FAILING     ${resource}: ${why}`);
  if (journal.length > 0) lines.push("  the supervisor of late:");
  for (const { at, what, why, result, ok } of journal.slice(-journalLines))
    lines.push(`    ${at.slice(0, 19).replace("T", " ")}  ${ok ? "" : "FAILED: "}${what}, because ${why}: ${result}`);
  return lines;
}

function proofLines(proof: ObservedProof | null): string[] {
  if (proof === null) return ["              not proved since it was loaded"];
  const { ok, words, hint, at, tokensPerSecond } = proof;
  const when = at.slice(0, 19).replace("T", " ");
  const pace = tokensPerSecond === null ? "" : `, ${tokensPerSecond} tokens/s`;
  if (ok) return [`              proved ${when}${pace}`];
  const lines = [`PROOF FAILED ${when}: ${words}`, ...(hint === undefined ? [] : [`Next: ${hint}`])];
  return lines.flatMap((line) => line.split("\n")).map((line) => `              ${line}`);
}

function lmstudioLines(lmstudio: Observed["lmstudio"]): string[] {
  const { installedVersion, adopted, daemon, server, engine, service } = lmstudio;
  const version = `${installedVersion ?? "(none)"}${adopted ? ", taken over" : ""}`;
  const outside = daemon.running && !daemon.supervised ? ", outside the supervisor" : "";
  return [
    `  LM Studio   ${version}: daemon ${daemon.running ? `runs (pid ${daemon.pid})${outside}` : "DOES NOT RUN"}`,
    `  server      ${server.greeting ? `serves on ${server.address}:${server.port}` : "DOES NOT SERVE"}`,
    `  engine      ${engine ? `${engine.name} ${engine.version}` : "LM Studio's choice"}`,
    `  supervisor  ${service.active ? "runs" : "DOES NOT RUN"}${service.enabled ? "" : ", and will not after a boot"}`,
  ];
}
