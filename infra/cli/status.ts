/** `lmstack status`: what a stack's host runs and what drifted, without changing anything. */
import type { HostFacts } from "../host/facts.ts";
import { driftLines, surveyHost } from "../host/survey.ts";
import { keysFingerprint, readKeys } from "../proxy/keys.ts";
import { Faults } from "../spec/faults.ts";
import { baseUrl } from "../spec/host-spec.ts";
import { parseHostSpec } from "../spec/parse.ts";
import { askPulumi } from "./pulumi.ts";

type Configuration = Readonly<
  Record<string, { readonly value: string; readonly secret: boolean; readonly objectValue?: unknown } | undefined>
>;

export async function status(options: { stack?: string }): Promise<void> {
  const name = (options.stack ?? (await askPulumi(["stack", "--show-name"], undefined))).trim();
  // Keys are part of what the proxy serves; they are compared, never shown.
  const configuration = JSON.parse(await askPulumi(["config", "--json", "--show-secrets"], name)) as Configuration;
  const spec = parseHostSpec(configuration["lmstack:host"]?.objectValue);
  const { keys, faults } = readKeys(spec, (key) => configuration[`lmstack:${key}`]);
  if (faults.length > 0) throw new Faults("secrets are missing:", faults);
  const { facts, judgements } = await surveyHost(spec, name, keysFingerprint(keys, name), async () => null);
  for (const line of statusLines(facts as HostFacts)) console.log(line);
  const drift = driftLines(judgements);
  console.log(
    drift.length === 0 ? `as declared; endpoint ${baseUrl(spec)}` : [...drift, "`pulumi up` repairs this"].join("\n"),
  );
}

function statusLines({ observed, runtime }: HostFacts): string[] {
  if (!observed)
    return [
      runtime
        ? "hostctl on the host gave no answer: see .lmstack/STACK/ssh.log"
        : "nothing of lmstack is on the host yet",
    ];
  const { lmstudio, models, proxy } = observed;
  const daemon = lmstudio.daemon.running ? `runs (pid ${lmstudio.daemon.pid})` : "does not run";
  const server = lmstudio.server.greeting
    ? `serves on ${lmstudio.server.address}:${lmstudio.server.port}`
    : "does not serve";
  return [
    `LM Studio ${lmstudio.installedVersion ?? "(none)"}${lmstudio.adopted ? ", taken over" : ""}: daemon ${daemon}, ${server}`,
    ...Object.entries(models).map(([id, { instances }]) => {
      const loaded = instances.map(
        ({ identifier, contextLength, parallel }) => `${identifier} (context ${contextLength}, parallel ${parallel})`,
      );
      return `model ${id}: ${loaded.join(", ") || "not loaded"}`;
    }),
    ...proxy.containers.map(
      ({ id, running, health }) => `proxy ${id.slice(0, 12)}: ${running ? `running, ${health}` : "stopped"}`,
    ),
  ];
}
