/** Looks at a host in one round trip. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { HostSpec } from "../spec/host-spec.ts";
import { isRemote } from "../spec/host-spec.ts";
import { isFolder, partNames } from "../spec/model-names.ts";
import { stableJson } from "../spec/stable-json.ts";
import { type Documents, observeDocument } from "./documents.ts";
import { type HostFacts, parseFacts } from "./facts.ts";
import { asOwner, shellWord } from "./shell.ts";
import { alias } from "./ssh-config.ts";
import { type SshFault, sshFault } from "./ssh-faults.ts";

/** A file above this is verified by `converge model-file`, once, not on each preview. */
const hashLimitBytes = 2 * 2 ** 30;
/** Reading two gibibytes from a slow disk, and a little. */
const patienceMs = 180_000;

/** The script with the questions of this spec. */
export function probeScript(spec: HostSpec, documents: Documents, hashes: Readonly<Record<string, string>>): string {
  const { url } = documents.lmstudio;
  const asks = documents.models.flatMap((model, index) => {
    const name = `model-file-${model.id}`;
    const digests = [model.sha256 ?? []].flat();
    const wanted = digests.length === 1 ? 1 : 0;
    if ("path" in model.source)
      return [`model ${index} ${shellWord(model.source.path)} ${hashes[name]} ${wanted} ${model.id}`];
    // Of a repository the host asks the hub itself.
    if ("peers" in model.source || isFolder(model.source)) return [];
    const parts = partNames(model.source.url).map(
      (url, part) => `remote ${name}${part === 0 ? "" : `/${part}`} ${shellWord(url)} ${digests[part] ?? "-"}`,
    );
    return [
      `case "$(cat "$HOME/.lmstack/tokens/${name}" 2>/dev/null)" in ${hashes[name]}.*) ;; *) ${parts.join("; ")} ;; esac`,
    ];
  });
  return [
    `PORTS='${spec.proxy.port} ${spec.lmstudio.backendPort}' BECOME=${spec.connection.become}`,
    `DOCKER=${documents.runtime === "docker" ? 1 : 0} HASH_LIMIT=${hashLimitBytes} DOCUMENT=${shellWord(stableJson(observeDocument(documents)))}`,
    readFileSync(new URL("probe.sh", import.meta.url), "utf8"),
    ...asks,
    `release ${documents.lmstudio.version} ${shellWord(url.startsWith("file:") ? `file://${fileURLToPath(url)}` : url)}`,
    "observe",
    "",
  ].join("\n");
}

export type Look =
  | { readonly facts: HostFacts; readonly fault?: never }
  | { readonly facts?: never; readonly fault: SshFault };

/** @param folder the stack's own folder, where ssh's configuration is and where its words go */
export async function lookAtHost(spec: HostSpec, folder: string, script: string): Promise<Look> {
  const { connection } = spec;
  const words = asOwner(spec, "exec sh -s");
  const [program, args] = isRemote(connection)
    ? ["ssh", ["-F", `${folder}/ssh_config`, "-o", "ControlMaster=auto", "-o", "ControlPersist=60", alias, words]]
    : ["sh", ["-c", words]];
  const log = `${folder}/ssh.log`;
  const { code, output } = await run(program as string, args as string[], script, log);
  const stderr = readFileSync(log, "utf8");
  if (isRemote(connection) && code === 255) return { fault: sshFault(stderr, connection) };
  try {
    return { facts: parseFacts(output) };
  } catch (error) {
    if (isRemote(connection))
      return { fault: { ...sshFault(`${(error as Error).message}\n${stderr}`, connection), unreachable: false } };
    throw new Error(`${(error as Error).message}\n${stderr}`);
  }
}

/**
 * stderr goes to a file and the end is the process's exit: the shared connection stays behind in the background, and a jump host's ssh keeps
 * the stderr that it was given, so a pipe would never end.
 */
function run(
  program: string,
  args: readonly string[],
  input: string,
  log: string,
): Promise<{ code: number; output: string }> {
  const stderr = openSync(log, "w", 0o600);
  const child = spawn(program, args, { stdio: ["pipe", "pipe", stderr], timeout: patienceMs });
  closeSync(stderr);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    child.stdin?.on("error", () => {}).end(input);
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("error", reject);
    let exit: number | undefined;
    let ended = false;
    const settle = () => {
      if (exit !== undefined && ended) resolve({ code: exit, output: Buffer.concat(chunks).toString("utf8") });
    };
    child.stdout?.on("end", () => {
      ended = true;
      settle();
    });
    child.on("exit", (code) => {
      exit = code ?? 255;
      settle();
    });
  });
}
