/** From what Pulumi's configuration holds to a `HostSpec`, or to every fault at once. */
import * as z from "zod";
import { type Fault, Faults, faultsOf } from "./faults.ts";
import { type HostSpec, hostSpecSchema, modelSchema, sections } from "./host-spec.ts";
import { crossFaults, type Parts } from "./rules.ts";

type Checked = { readonly spec: HostSpec; readonly faults: [] } | { readonly spec?: never; readonly faults: Fault[] };

/** Judges a spec without throwing. */
export function checkHostSpec(input: unknown): Checked {
  const parsed = hostSpecSchema.safeParse(input);
  const formFaults = parsed.success ? [] : faultsOf(parsed.error, input, keysOf(hostJsonSchema())).map(withFirstStep);
  const faults = [...formFaults, ...crossFaults(readableParts(input))];
  return parsed.success && faults.length === 0 ? { spec: parsed.data, faults: [] } : { faults };
}

/** @throws Faults with one line for each fault. */
export function parseHostSpec(input: unknown): HostSpec {
  const { spec, faults } = checkHostSpec(input);
  if (!spec)
    throw new Faults(
      `lmstack:host has ${faults.length === 1 ? "a fault" : `${faults.length} faults`}, nothing was touched:`,
      faults,
    );
  return spec;
}

/** Where the value comes from, for keys that nobody knows by heart. */
const firstSteps: Readonly<Record<string, string>> = {
  "connection.hostKey":
    "run `ssh-keyscan -t ed25519 HOST`, compare it with the host's /etc/ssh/ssh_host_ed25519_key.pub, and give its last two words",
  "lmstack:host": "write lmstack:host into Pulumi.STACK.yaml (README, 'A real host in five steps')",
};

const withFirstStep = (fault: Fault): Fault => ({ ...fault, next: firstSteps[fault.where] ?? fault.next });

function readableParts(input: unknown): Parts {
  const raw = (typeof input === "object" && input !== null ? input : {}) as Record<string, unknown>;
  const part = <T extends z.ZodType>(schema: T, value: unknown): z.output<T> | undefined =>
    schema.safeParse(value).data;
  return {
    platform: part(sections.platform, raw.platform),
    connection: part(sections.connection, raw.connection),
    lmstudio: part(sections.lmstudio, raw.lmstudio),
    models: Array.isArray(raw.models) ? raw.models.map((model) => part(modelSchema, model)) : [],
    proxy: part(sections.proxy, raw.proxy),
    codex: part(sections.codex, raw.codex),
  };
}

/** Which names may stand at a path, read from the generated schema so that they cannot go stale. */
export const keysOf =
  (schema: object) =>
  (path: readonly PropertyKey[]): string[] => {
    interface Node {
      properties?: Record<string, Node>;
      additionalProperties?: Node | false;
      items?: Node;
      oneOf?: Node[];
      anyOf?: Node[];
    }
    let nodes: Node[] = [schema as Node];
    const spread = (list: Node[]): Node[] =>
      list.flatMap((node) => [node, ...spread(node.oneOf ?? []), ...spread(node.anyOf ?? [])]);
    for (const step of path) {
      nodes = spread(nodes).flatMap(
        (node) =>
          (typeof step === "number" ? node.items : (node.properties?.[String(step)] ?? node.additionalProperties)) ||
          [],
      );
    }
    return [...new Set(spread(nodes).flatMap((node) => Object.keys(node.properties ?? {})))];
  };

/** JSON Schema of what a user writes, for editors. */
export const hostJsonSchema = (): object => z.toJSONSchema(hostSpecSchema, { io: "input", target: "draft-7" });
