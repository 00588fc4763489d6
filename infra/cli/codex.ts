/** `lmstack codex`: a stack's files for the Codex CLI, from the stack's outputs to this user's Codex folder. */
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type ProofRequest, proveEndpoint } from "../proxy/endpoint-proof.ts";
import { CliFault } from "./fault.ts";
import { askPulumi } from "./pulumi.ts";

export interface CodexOptions {
  readonly stack?: string;
  readonly codexHome?: string;
}

interface Outputs {
  readonly endpoint: string;
  readonly models: ProofRequest["models"];
  readonly codex: Readonly<Record<string, { readonly content: string; readonly mode: number }>>;
}

async function outputsOf(stack: string | undefined): Promise<Outputs> {
  const outputs = JSON.parse(
    await askPulumi(["stack", "output", "--json", "--show-secrets"], stack),
  ) as Partial<Outputs>;
  if (!outputs.codex) throw new CliFault("the stack has no Codex files yet: run `pulumi up` first");
  return outputs as Outputs;
}

const folderOf = ({ codexHome }: CodexOptions): string =>
  codexHome ?? process.env.CODEX_HOME ?? join(homedir(), ".codex");

export async function install(options: CodexOptions): Promise<void> {
  const { codex } = await outputsOf(options.stack);
  const folder = folderOf(options);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, { content, mode }] of Object.entries(codex)) {
    // A Codex that is starting just now finds the old file or the new one, never half of it; a key is never readable for others.
    const staging = join(folder, `.${name}.${process.pid}`);
    await writeFile(staging, content, { mode });
    await chmod(staging, mode);
    await rename(staging, join(folder, name));
    console.log(join(folder, name));
  }
  const launcher = Object.keys(codex).find((name) => name.startsWith("codex-"));
  console.log(`start it with ${join(folder, launcher ?? "")}`);
}

export async function check(options: CodexOptions): Promise<void> {
  const { codex, endpoint, models: declared } = await outputsOf(options.stack);
  // The key may be bound to some of them, and then the catalog holds no other.
  const catalog = Object.entries(codex).find(([name]) => name.endsWith(".catalog.json"))?.[1].content ?? "";
  const models = declared.filter(({ id }) => catalog.includes(`"slug": ${JSON.stringify(id)}`));
  const folder = folderOf(options);
  const stale: string[] = [];
  for (const [name, { content }] of Object.entries(codex)) {
    const found = await readFile(join(folder, name), "utf8").catch(() => undefined);
    if (found !== content)
      stale.push(`${join(folder, name)}: ${found === undefined ? "missing" : "not as the stack has it"}`);
  }
  if (stale.length > 0) throw new CliFault(`${stale.join("\n")}\nrun \`npx lmstack codex install\``);
  const environment = Object.entries(codex).find(([name]) => name.endsWith(".env"))?.[1].content ?? "";
  const key = /^export \w+_API_KEY='(.*)'$/m.exec(environment)?.[1]?.replaceAll("'\\''", "'");
  const { ok, reached, words } = await proveEndpoint({
    baseUrl: endpoint,
    models,
    ...(key === undefined ? {} : { key }),
  });
  if (!ok || !reached) throw new CliFault(words);
  console.log(`the files are the stack's, and ${words}`);
}
