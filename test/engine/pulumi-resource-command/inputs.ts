// The inputs of a local Command: which exist, of which type, and what a command is started with.

import { isMap, type Properties, reveal, UNKNOWN, type Value } from "./values.ts";

export interface CommandInputs {
  readonly create?: string;
  readonly update?: string;
  readonly delete?: string;
  readonly triggers?: readonly Value[];
  readonly stdin?: string;
  readonly logging?: string;
  readonly interpreter?: readonly string[];
  readonly dir?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly addPreviousOutputInEnv?: boolean;
}

export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

type Type = "string" | "bool" | "[]string" | "[]interface {}" | "map[string]string";

const TYPES: Readonly<Record<string, Type>> = {
  triggers: "[]interface {}",
  create: "string",
  update: "string",
  delete: "string",
  stdin: "string",
  logging: "string",
  interpreter: "[]string",
  dir: "string",
  environment: "map[string]string",
  addPreviousOutputInEnv: "bool",
};

/** Inputs that collect files: lmstack has no use for them, so they are refused in words instead of half done. */
const REFUSED = ["assetPaths", "archivePaths"];

function typeName(value: Value): string {
  if (typeof value === "number") return "float64";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "string";
  return Array.isArray(value) ? "[]interface {}" : "map[string]interface {}";
}

function mismatch(path: string, expected: string, value: Value): CheckFailure[] {
  if (value === UNKNOWN || typeName(value) === expected) return [];
  const reason = `Field '${path}' on 'local.CommandInputs' must be a '${expected}'; got '${typeName(value)}' instead`;
  return [{ property: path, reason }];
}

function checkOne(name: string, type: Type, value: Value): CheckFailure[] {
  if (value === null || value === UNKNOWN) return [];
  if (type === "map[string]string" && isMap(value)) {
    return Object.entries(value).flatMap(([key, item]) => mismatch(`${name}[${key}] value`, "string", item));
  }
  if (type === "[]string" && Array.isArray(value)) {
    return value.flatMap((item, index) => mismatch(`${name}[${index}]`, "string", item));
  }
  return mismatch(name, type, value);
}

/** All faults at once, in the words of the official plugin. */
export function checkInputs(inputs: Properties): CheckFailure[] {
  const faults = Object.entries(TYPES).flatMap(([name, type]) => checkOne(name, type, reveal(inputs[name] ?? null)));
  for (const name of Object.keys(inputs)) {
    if (REFUSED.includes(name)) {
      faults.push({ property: name, reason: `'${name}' works with the official command plugin only` });
    } else if (!(name in TYPES)) {
      faults.push({ property: name, reason: `Unrecognized field '${name}' on 'local.CommandInputs'` });
    }
  }
  return faults;
}

export function readInputs(properties: Properties): CommandInputs {
  const known = Object.entries(properties).filter(([name, value]) => name in TYPES && value !== null);
  return Object.fromEntries(known.map(([name, value]) => [name, reveal(value)])) as CommandInputs;
}
