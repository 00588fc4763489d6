/** The file that `keysFile` names, read and judged before anything of it is taken. */
import { readFile, stat } from "node:fs/promises";
import { keysFileSchema, type ProxyKey } from "../../infra/spec/proxy-config.ts";
import { ConfigFault } from "../config.ts";

/**
 * @param others keys that count beside the file's, from the configuration itself
 * @throws ConfigFault with a line for each fault, none of which repeats a digest
 */
export async function readKeysFile(file: string, others: readonly ProxyKey[] = []): Promise<readonly ProxyKey[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigFault(`${file}: cannot be read (${error.code}); keysFile names it`);
  });
  return parseKeysFile(text, file, others);
}

/** Pure. @throws ConfigFault */
export function parseKeysFile(text: string, file: string, others: readonly ProxyKey[] = []): readonly ProxyKey[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The parser's own words would quote what it stumbled over.
    throw new ConfigFault(`${file}: not valid JSON; expected {"keys": [{"id": …, "sha256": …}]}`);
  }
  const result = keysFileSchema.safeParse(document);
  const faults = result.success
    ? doubles(result.data.keys, others)
    : result.error.issues.map(({ path, message }) => `${placeOf(document, path)}: ${message}`);
  if (faults.length > 0) throw new ConfigFault(faults.map((words) => `${file}: ${words}`).join("\n"));
  return result.data?.keys ?? [];
}

/** What is odd about a file that is used all the same; undefined when nothing is. */
export async function keysFileWarning(file: string): Promise<string | undefined> {
  const mode = await stat(file).then(
    (found) => found.mode,
    () => 0,
  );
  if ((mode & 0o022) === 0) return undefined;
  const shown = (mode & 0o777).toString(8).padStart(4, "0");
  return `${file}: others may write it (mode ${shown}), so they may let themselves in; expected 0600. Next: chmod 600 ${file}`;
}

/** Two keys under one name could not be told apart in any report, and one key under two names would be counted for either. */
function doubles(keys: readonly ProxyKey[], others: readonly ProxyKey[]): string[] {
  const faults: string[] = [];
  const all = [
    ...others.map((key, index) => ({ key, place: `keys[${index}] of the configuration` })),
    ...keys.map((key, index) => ({ key, place: `keys[${index}]` })),
  ];
  for (const [index, { key, place }] of all.entries()) {
    const before = all.slice(0, index);
    const sameId = before.find((other) => other.key.id === key.id);
    if (sameId) faults.push(`${place} (${key.id}): the id of ${sameId.place} too; give it one of its own`);
    const sameKey = before.find((other) => other.key.sha256 === key.sha256);
    if (sameKey) faults.push(`${place} (${key.id}): the same key as ${sameKey.place} (${sameKey.key.id}); remove one`);
  }
  return faults;
}

/** `keys[2] (team-b).sha256`, with the id where there is one that can be shown. */
function placeOf(document: unknown, path: readonly PropertyKey[]): string {
  const [first, index, ...rest] = path;
  if (first === undefined) return "(top level)";
  if (typeof index !== "number") return path.join(".");
  const entry = (document as { keys: readonly { id?: unknown }[] }).keys[index];
  const name = typeof entry?.id === "string" && /^[\w.-]{1,64}$/.test(entry.id) ? ` (${entry.id})` : "";
  return [`${String(first)}[${index}]${name}`, ...rest].map(String).join(".");
}
