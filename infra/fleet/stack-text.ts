/**
 * The stack file of a fleet's host: what the inventory says of it goes below `lmstack:host`, everything else (secrets, what Pulumi keeps there) is left as
 * it is. `lmstack:fleet` has the digest of what was written last, so that an edit by hand is told from an older inventory. Pure.
 */
import { Document, type Node } from "yaml";
import { quoted, specOf, specPath, textOf, word, yamlOf } from "../cli/stack-yaml.ts";
import { type Fault, fault, pathText, shown } from "../spec/faults.ts";
import { shortHash, stableJson } from "../spec/stable-json.ts";
import type { FleetHost } from "./compose.ts";

const markPath = ["config", "lmstack:fleet"];

export interface StackText {
  /** The text as the inventory wants it; the same as before where nothing differs. */
  readonly after: string;
  /** What somebody changed in the file and the inventory would undo, a fault for each key. */
  readonly edits: readonly Fault[];
}

/** @param text of the file, undefined where there is none. @throws CliFault when it is no YAML */
export function stackText(
  { name, declared }: Pick<FleetHost, "name" | "declared">,
  text: string | undefined,
  file: string,
  inventory: string,
): StackText {
  const document = text === undefined ? new Document({ config: {} }) : yamlOf(text, file);
  const written = document.hasIn(specPath) ? specOf(document) : undefined;
  const mark = document.getIn(markPath);
  const same = written !== undefined && stableJson(written) === stableJson(declared);
  if (same && mark === shortHash(declared)) return { after: text as string, edits: [] };
  const byHand = written !== undefined && !same && mark !== shortHash(written);
  const edits = byHand
    ? differences(written, declared).map(([path, found, wanted]) =>
        fault(
          `${file} lmstack:host.${pathText(path)}`,
          shown(found),
          `${shown(wanted)}, as ${inventory} has it`,
          `write it into hosts.${name}.spec of ${inventory} if it is to stay, else \`npx lmstack fleet sync --overwrite ${name}\``,
        ),
      )
    : [];
  if (!same) document.setIn(specPath, nodeOf(document, declared));
  document.setIn(markPath, quoted(shortHash(declared)));
  return { after: textOf(document), edits };
}

/** What a stack's file holds beside what the inventory writes there: secrets, what Pulumi keeps, whatever somebody added. */
export function besideSpec(text: string, file: string): unknown {
  const document = yamlOf(text, file);
  for (const path of [specPath, markPath]) document.deleteIn(path);
  return document.toJS();
}

export const isOfFleet = (text: string, file: string): boolean => yamlOf(text, file).hasIn(markPath);

function nodeOf(document: Document, value: unknown): Node {
  const withWords = (inner: unknown): unknown => {
    if (typeof inner === "string") return word(inner);
    if (Array.isArray(inner)) return inner.map(withWords);
    if (typeof inner !== "object" || inner === null) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, withWords(one)]));
  };
  return document.createNode(withWords(value), { aliasDuplicateObjects: false });
}

type Path = readonly PropertyKey[];

function differences(found: unknown, wanted: unknown, path: Path = []): [Path, unknown, unknown][] {
  if (stableJson(found ?? null) === stableJson(wanted ?? null)) return [];
  const open = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
  if (!open(found) || !open(wanted) || Array.isArray(found) !== Array.isArray(wanted)) return [[path, found, wanted]];
  const steps = new Set([...Object.keys(found), ...Object.keys(wanted)]);
  return [...steps].flatMap((step) =>
    differences(found[step], wanted[step], [...path, Array.isArray(found) ? Number(step) : step]),
  );
}
