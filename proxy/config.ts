import { readFile } from "node:fs/promises";
import path from "node:path";
import { instancesFileName } from "../infra/spec/host-layout.ts";
import { instancesSchema, type ProxyConfig, proxyConfigSchema } from "../infra/spec/proxy-config.ts";

/** The configuration cannot be used; the message lists every fault with its key. */
export class ConfigFault extends Error {
  override readonly name = "ConfigFault";
}

export async function readConfig(file: string): Promise<ProxyConfig> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigFault(`${file}: cannot be read (${error.code}); --config names the proxy's JSON configuration`);
  });
  return parseConfig(text, file);
}

export function parseConfig(text: string, file: string): ProxyConfig {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new ConfigFault(`${file}: not valid JSON (${(error as Error).message})`);
  }
  const result = proxyConfigSchema.safeParse(document);
  if (result.success) return result.data;
  const faults = result.error.issues.map(
    (issue) => `${file}: ${issue.path.join(".") || "(top level)"}: ${issue.message}`,
  );
  throw new ConfigFault(faults.join("\n"));
}

export const instancesFile = (config: string): string => path.join(path.dirname(config), instancesFileName);

/** Which instances answer for models, where that was said; nothing without such a file. @throws ConfigFault */
export async function readInstances(config: string): Promise<ProxyConfig["instances"]> {
  const file = instancesFile(config);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "{}";
    throw new ConfigFault(`${file}: cannot be read (${error.code})`);
  });
  try {
    return instancesSchema.parse(JSON.parse(text));
  } catch {
    throw new ConfigFault(`${file}: expected a JSON object from models to names of instances`);
  }
}
