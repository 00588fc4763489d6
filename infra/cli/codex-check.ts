/** `lmstack codex check`: one real turn of the real Codex through the installed profile, and what is wrong when it fails. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { explain, installLine, isOlder, testedCodex } from "../codex/explain.ts";
import { homeFaults } from "../codex/home-faults.ts";
import { readEnvironment, readProfile } from "../codex/profile.ts";
import { type CodexOptions, codexFolder, installedProfile, textOf } from "./codex.ts";
import { CliFault } from "./fault.ts";
import { progress } from "./progress.ts";

export interface CheckOptions extends CodexOptions {
  readonly timeout?: string;
}

type Profile = NonNullable<ReturnType<typeof readProfile>>;

export async function check(options: CheckOptions): Promise<void> {
  const started = performance.now();
  try {
    const { codex, profile, notes } = await progress("Codex is at work", turn(options));
    const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
    if (options.json)
      console.log(
        JSON.stringify({
          ok: true,
          codex,
          profile: profile.name,
          model: profile.model,
          endpoint: profile.baseUrl,
          seconds,
          notes,
        }),
      );
    else {
      console.log(`Codex ${codex} got an answer of ${profile.model} at ${profile.baseUrl} in ${seconds} s`);
      for (const note of notes) console.error(note);
    }
  } catch (error) {
    if (!(error instanceof CliFault) || !options.json) throw error;
    console.log(JSON.stringify({ ok: false, problem: error.message }));
    process.exitCode = 1;
  }
}

async function turn(options: CheckOptions): Promise<{ codex: string; profile: Profile; notes: string[] }> {
  const folder = codexFolder(options);
  const name = options.profile ?? (await installedProfile(folder));
  const file = join(folder, `${name}.config.toml`);
  const text = await textOf(folder, `${name}.config.toml`);
  if (text === undefined)
    throw new CliFault(
      `${file} is missing; Codex would pass over that in silence. Next: \`npx lmstack codex install\``,
    );
  const broken =
    homeFaults(file, text, name)[0] ??
    homeFaults(join(folder, "config.toml"), (await textOf(folder, "config.toml")) ?? "", name).join("\n");
  if (broken !== "") throw new CliFault(broken);
  const profile = readProfile(name, text);
  if (profile === undefined)
    throw new CliFault(`${file} names no model, no provider or no address. Next: \`npx lmstack codex install\``);
  const codex = await codexVersion();
  const { key = process.env[profile.variable], noProxy } = readEnvironment((await textOf(folder, `${name}.env`)) ?? "");
  if (profile.keyed && key === undefined)
    throw new CliFault(
      `the key is missing: neither ${join(folder, `${name}.env`)} nor the environment has ${profile.variable}. Next: \`npx lmstack codex install\``,
    );
  await askEndpoint(profile, profile.keyed ? key : undefined);

  const { NO_PROXY = process.env.no_proxy, HTTP_PROXY = process.env.http_proxy } = process.env;
  const env = {
    CODEX_HOME: folder,
    ...(key === undefined ? {} : { [profile.variable]: key }),
    ...(noProxy === undefined ? {} : { NO_PROXY: NO_PROXY ? `${NO_PROXY},${noProxy}` : noProxy }),
  };
  const { failed, said, timedOut } = await runCodex(profile, env, Number(options.timeout ?? 180));
  if (failed)
    throw new CliFault(
      explain({
        said,
        timedOut,
        version: codex,
        variable: profile.variable,
        profile: name,
        model: profile.model,
        httpProxy: HTTP_PROXY,
      }),
    );
  return { codex, profile, notes: notesOf(said, profile, codex, HTTP_PROXY !== undefined && !NO_PROXY) };
}

/** Of the codex on PATH. @throws CliFault when there is none */
export async function codexVersion(): Promise<string> {
  const { stdout, failed, code } = await execa("codex", ["--version"], { reject: false, timeout: 20_000 });
  if (code === "ENOENT") throw new CliFault(`codex is not on PATH. Next: ${installLine}`);
  const version = /\d+\.\d+\.\d+\S*/.exec(stdout ?? "")?.[0];
  if (failed || version === undefined)
    throw new CliFault(`the codex on PATH does not tell its version. Next: ${installLine}`);
  return version;
}

/**
 * Before Codex, which waits for ever for a host that is not there.
 * @throws CliFault when the endpoint cannot be reached, does not know the key, or does not list the model
 */
export async function askEndpoint(
  { baseUrl, model }: { readonly baseUrl: string; readonly model: string | undefined },
  key: string | undefined,
): Promise<void> {
  let answer: Response;
  try {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    answer = await fetch(`${baseUrl}/models`, { headers, signal: AbortSignal.timeout(15_000) });
  } catch (error) {
    // Never its message: fetch quotes a header that it refuses, and the key is one.
    const { cause, name } = error as Error & { cause?: { code?: string } };
    throw new CliFault(
      `${baseUrl} cannot be reached from here (${cause?.code ?? name}). Next: is the host on, the address right, and no firewall or VPN between? \`lmstack status\` looks from the inside`,
    );
  }
  const body = (await answer.json().catch(() => ({}))) as {
    data?: { id?: unknown }[];
    models?: { slug?: unknown }[];
    error?: { message?: string };
  };
  if (answer.status === 401)
    throw new CliFault(
      key === undefined
        ? `${baseUrl} wants a key, and the profile has none. Next: \`npx lmstack keys add NAME\`, \`npx lmstack up\`, then install again`
        : `${baseUrl} does not know the key. Next: \`npx lmstack up\` if it is new, and \`npx lmstack codex install\``,
    );
  if (!answer.ok)
    throw new CliFault(`${baseUrl}/models answered ${answer.status}: ${body.error?.message ?? "no message"}`);
  if (!Array.isArray(body.data))
    throw new CliFault(
      `${baseUrl}/models gave no list of models: something else answers there. Next: correct codex.baseUrl`,
    );
  const listed = [...body.data.map(({ id }) => id), ...(body.models ?? []).map(({ slug }) => slug)];
  if (model !== undefined && !listed.includes(model))
    throw new CliFault(
      `${model} is not among the models there: ${[...new Set(listed)].join(", ") || "none"}. Next: \`lmstack status\`, or \`npx lmstack codex install\` for what the stack has now`,
    );
}

async function runCodex(
  { name, provider }: Profile,
  env: Record<string, string>,
  seconds: number,
): Promise<{ failed: boolean; said: string; timedOut: boolean }> {
  // Nothing to read, nothing to write, no session kept.
  const cwd = await mkdtemp(join(tmpdir(), "lmstack-codex-check-"));
  // One failure says as much as thirty.
  const once = ["request", "stream"].flatMap((kind) => ["-c", `model_providers.${provider}.${kind}_max_retries=1`]);
  const args = [
    "exec",
    "--profile",
    name,
    "-c",
    `model_provider=${provider}`,
    "--disable",
    "unbounded_connection_retries",
    ...once,
  ];
  const rest = [
    "--ephemeral",
    "--skip-git-repo-check",
    "-s",
    "read-only",
    "--json",
    "Answer with the word ready and nothing else.",
  ];
  try {
    const run = await execa("codex", [...args, ...rest], {
      cwd,
      env,
      stdin: "ignore",
      reject: false,
      all: true,
      timeout: seconds * 1000,
    });
    const said = run.all ?? "";
    return { failed: run.failed || !said.includes('"agent_message"'), said, timedOut: run.timedOut };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

function notesOf(said: string, { model, name }: Profile, codex: string, proxied: boolean): string[] {
  const notes: string[] = [];
  if (/Model metadata for/.test(said))
    notes.push(
      `Codex knows no window for ${model}: its catalog has no such entry. Next: \`npx lmstack codex install\``,
    );
  if (proxied)
    notes.push(`HTTP_PROXY is set and NO_PROXY is not: by hand, source ${name}.env first, or start codex-${name}`);
  if (isOlder(codex, testedCodex))
    notes.push(`this was tried with Codex ${testedCodex}; yours is ${codex}. Next: ${installLine}`);
  return notes;
}
