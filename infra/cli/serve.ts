/** `lmstack serve`: the old script's command, by way of a stack's file and `pulumi up`. */
import { realpath, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { parse } from "yaml";
import { agreeOn } from "./ask.ts";
import { CliFault, UsageFault } from "./fault.ts";
import { hostKeyOf, type SshTarget, sshTarget } from "./host-key.ts";
import { machineOf, machineScript } from "./machine.ts";
import { reach } from "./prepare/reach.ts";
import { preview } from "./preview.ts";
import { progress } from "./progress.ts";
import { hasStack, makeStack } from "./pulumi.ts";
import { type Machine, readServe, servedStack, stackName } from "./serve-plan.ts";
import { findStack, type StackFile, stackFile, writeStack } from "./stack-file.ts";
import { converge, type UpResult } from "./up.ts";

export interface ServeOptions {
  /** `[user@]host[:port]`; this machine when absent. */
  readonly host?: string;
  readonly stack?: string;
  readonly acceptHostKey?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

type Proxy = { readonly keys?: readonly unknown[]; readonly allowAnonymous?: boolean };

/** As a file has it; loosely, because the whole is judged when it is put together. */
interface Declared {
  readonly platform?: unknown;
  readonly connection?: {
    readonly local?: unknown;
    readonly host?: unknown;
    readonly port?: unknown;
    readonly user?: unknown;
  };
}

export async function serve(gguf: string, identifier: string, options: ServeOptions): Promise<void> {
  const target = options.host === undefined ? undefined : await sshTarget(options.host);
  const file = stackFile(options.stack ?? stackName(target?.name));
  const before = await findStack(file);
  const declared = declaredIn(before);
  const remote = declared?.connection ? declared.connection.local !== true : target !== undefined;
  sameHost(file, declared, target);
  const path = remote ? remotePath(gguf) : await localPath(gguf);
  const account = String(declared?.connection?.user ?? target?.user ?? userInfo().username);
  const wish = readServe({ gguf: path, identifier }, process.env, account);
  const machine = declared?.connection && declared.platform ? undefined : await lookAt(target, options.acceptHostKey);
  const after = servedStack(before, file.name, wish, machine);

  if (options.dryRun) return await show(file, after, before, options);
  await agreeOn(file, before, after, options.yes);
  if (!(await hasStack(file.stack))) await makeStack(file.stack);
  // Read again: making a stack may have written its key for secrets into the file.
  const present = await findStack(file);
  const wanted = servedStack(present, file.name, wish, machine);
  if (wanted !== present) await writeStack(file, wanted);
  console.error(wanted === before ? `${file.name} says so already` : `${file.name} is written`);
  const result = await converge(file.stack, ["--yes", "--skip-preview"], options.json);
  const { keys = [], allowAnonymous } = parse(wanted).config["lmstack:host"].proxy as Proxy;
  const keyed = keys.length > 0;
  const told = { ...result, file: file.name, changed: wanted !== before, model: identifier, keyed };
  if (options.json) console.log(JSON.stringify(told));
  else for (const line of readyLines(result, identifier, keyed)) console.log(line);
  if (!keyed && allowAnonymous)
    console.error(
      "Whoever reaches that address may use it, as with the old script. Next: `npx lmstack keys add NAME` and `npx lmstack up` close it",
    );
}

/** As the script ended. */
export function readyLines(
  { endpoint, proof }: Pick<UpResult, "endpoint" | "proof">,
  identifier: string,
  keyed: boolean,
): string[] {
  return [
    "Ready.",
    `OpenAI-compatible endpoint: ${endpoint}`,
    `Loaded model identifier: ${identifier}`,
    `Proof: ${proof}`,
    "",
    "Example request:",
    `curl ${endpoint}/chat/completions \\`,
    ...(keyed ? ['  -H "Authorization: Bearer $KEY" \\'] : []),
    '  -H "Content-Type: application/json" \\',
    `  -d '{"model": "${identifier}", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5}'`,
  ];
}

const declaredIn = (text: string | undefined): Declared | undefined => {
  try {
    return text === undefined ? undefined : (parse(text)?.config?.["lmstack:host"] as Declared | undefined);
  } catch {
    // Said in words where the file is put together.
    return undefined;
  }
};

function sameHost(file: StackFile, declared: Declared | undefined, target: SshTarget | undefined): void {
  const { host, local, port = 22 } = declared?.connection ?? {};
  const here = local === true ? "this machine" : typeof host === "string" ? host : undefined;
  if (here === undefined || target === undefined) return;
  // Behind one address there may be several hosts, each on a port of its own.
  if ((here === target.host || here === target.typed) && port === target.port) return;
  const found = `${target.host}, port ${target.port}`;
  throw new UsageFault(
    `--host: found ${found}, but ${file.name} is for ${here}${local === true ? "" : `, port ${port}`}. Next: leave --host out, or name another stack with --stack`,
  );
}

function remotePath(gguf: string): string {
  if (gguf.startsWith("/")) return gguf;
  throw new UsageFault(
    `<gguf>: found ${JSON.stringify(gguf)}; expected an absolute path, as the host sees it. Next: begin it with '/'`,
  );
}

/** The folder's own name, but the file's as given, as the script had it: a link may have the better name. */
async function localPath(gguf: string): Promise<string> {
  const found = await stat(gguf).catch(() => undefined);
  if (!found?.isFile())
    throw new UsageFault(
      `<gguf>: model file not found: ${gguf}. Next: name a GGUF file of this machine, or the host that has it with --host`,
    );
  return join(await realpath(dirname(gguf)), basename(gguf));
}

async function lookAt(target: SshTarget | undefined, accept: boolean | undefined): Promise<Machine> {
  if (target === undefined) {
    await using here = await reach("local");
    return machineOf(await progress("looking at this machine", here.read(machineScript)), { local: true });
  }
  const { host, port, user, proxyJump } = target;
  const hostKey = await hostKeyOf(target, accept);
  const identity = process.env.LMSTACK_SSH_IDENTITY;
  const jump = proxyJump === undefined ? {} : { proxyJump };
  const connection = { host, ...(port === 22 ? {} : { port }), user, hostKey, ...jump };
  await using box = await reach({ host, port, user, hostKey, ...jump, ...(identity ? { identity } : {}) });
  return machineOf(await progress(`looking at ${box.name}`, box.read(machineScript)), connection);
}

async function show(file: StackFile, after: string, before: string | undefined, { json }: ServeOptions): Promise<void> {
  if (!json) console.log(`# ${file.name}${after === before ? ", as it is" : ""}\n${after}`);
  const code = await preview(file, after, before !== undefined && (await hasStack(file.stack)), json);
  if (code !== 0) throw new CliFault(`this is not what \`pulumi up\` would take (${code}); its reasons are above`);
  if (json)
    console.log(
      JSON.stringify({
        ok: true,
        dryRun: true,
        stack: file.stack,
        file: file.name,
        changed: after !== before,
        content: after,
      }),
    );
}
