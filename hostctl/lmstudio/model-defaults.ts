/**
 * LM Studio's defaults of one model: the only way to what `lms load` has no flag for. They apply to its next load, whoever asks for it.
 * The file is a person's too, so it is merged field by field, and what each field was before is kept, as with the other settings.
 * Nobody documents it; keys and forms are those of lmstudio-js lms-kv-config/src/schema.ts.
 */
import { readdir, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import type { Change, ModelDocument } from "../../infra/spec/host-documents.ts";
import { isQuantised } from "../../infra/spec/kv-cache.ts";
import { readJson, readText, writeJson } from "../atomic-file.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";

type Value = boolean | string | { readonly checked: boolean; readonly value: string };

/** Values by key, such as `llm.load.llama.flashAttention`. */
export type ModelDefaults = Readonly<Record<string, Value>>;

interface Field {
  readonly key: string;
  readonly value?: unknown;
}

/** What lmstack wrote, and what was there before; without `prior` nothing was. */
type Written = Readonly<Record<string, { readonly value: unknown; readonly prior?: unknown }>>;

interface DefaultsRecord {
  readonly written: Written;
  /** The file was not there before. */
  readonly made: boolean;
}

const fileSchema = z.looseObject({
  operation: z.looseObject({ fields: z.array(z.unknown()).optional() }).optional(),
  load: z
    .looseObject({ fields: z.array(z.looseObject({ key: z.string(), value: z.unknown() })).optional() })
    .optional(),
});

/** A quantised V cache is refused by the engine without flash attention, whose own default differs from engine to engine. */
export function modelDefaults({ flashAttention, kvCacheType }: ModelDocument["load"]): ModelDefaults {
  const flash = flashAttention ?? (isQuantised(kvCacheType) ? true : undefined);
  const cache = kvCacheType === undefined ? undefined : { checked: true, value: kvCacheType };
  return {
    ...(flash === undefined ? {} : { "llm.load.llama.flashAttention": flash }),
    ...(cache === undefined
      ? {}
      : { "llm.load.llama.kCacheQuantizationType": cache, "llm.load.llama.vCacheQuantizationType": cache }),
  };
}

/** Also takes back what was wanted before and is no longer, so with nothing wanted it is the removal. */
export async function applyModelDefaults(host: Host, exactPath: string, wanted: ModelDefaults): Promise<Change[]> {
  const record = await readRecord(host, exactPath);
  const nothing = Object.keys(wanted).length === 0;
  if (nothing && record === null) return [];
  const file = await readFile(host, exactPath);
  const plan = mergeFields(file?.load?.fields ?? [], record?.written ?? {}, wanted);
  const made = record?.made ?? file === null;
  // First the record of what was there, then the change: a kill between the two forgets nothing.
  if (!nothing) await writeJson(recordPath(host, exactPath), { written: plan.written, made } satisfies DefaultsRecord);
  const empty = plan.fields.length === 0 && (file?.operation?.fields ?? []).length === 0;
  if (made && empty) await removeFile(host, exactPath);
  else if (plan.changes.length > 0) {
    const base = file ?? { preset: "", operation: { fields: [] } };
    await writeJson(defaultsFile(host, exactPath), { ...base, load: { ...file?.load, fields: plan.fields } });
  }
  if (nothing) await rm(recordPath(host, exactPath), { force: true });
  return plan.changes.map(({ key, from, to }) => ({ what: `default ${key} of ${exactPath}`, from, to }));
}

/** Of whatever model lmstack wrote defaults for, PUBLISHER/REPO/FILE. */
export async function pathsWithDefaults(host: Host): Promise<string[]> {
  const names = await readdir(recordFolder(host)).catch(() => []);
  return names.filter((name) => /^[^.].*\.json$/.test(name)).map((name) => decodeURIComponent(name.slice(0, -5)));
}

/** Keys whose value is not the wanted one. */
export async function modelDefaultsDrift(host: Host, exactPath: string, wanted: ModelDefaults): Promise<string[]> {
  if (Object.keys(wanted).length === 0) return [];
  const fields = (await readFile(host, exactPath).catch(() => null))?.load?.fields ?? [];
  return Object.keys(wanted).filter((key) => !isDeepStrictEqual(fieldValue(fields, key), wanted[key]));
}

/** Every other field stays, in its place. A value of ours that somebody changed since is theirs, unless it is wanted. */
export function mergeFields(fields: readonly Field[], written: Written, wanted: ModelDefaults) {
  const changes: { readonly key: string; readonly from: string | null; readonly to: string | null }[] = [];
  const now: Record<string, { value: unknown; prior?: unknown }> = {};
  let merged = [...fields];
  const put = (key: string, value: unknown) => {
    const found = fieldValue(merged, key);
    if (isDeepStrictEqual(found, value)) return;
    changes.push({ key, from: shown(found), to: shown(value) });
    if (value === undefined) merged = merged.filter((field) => field.key !== key);
    else if (found === undefined) merged = [...merged.filter((field) => field.key !== key), { key, value }];
    else merged = merged.map((field) => (field.key === key ? { ...field, value } : field));
  };
  for (const [key, value] of Object.entries(wanted)) {
    const first = written[key];
    const prior = first === undefined ? fieldValue(merged, key) : first.prior;
    now[key] = { value, ...(prior === undefined ? {} : { prior }) };
    put(key, value);
  }
  for (const [key, { value, prior }] of Object.entries(written))
    if (!(key in wanted) && isDeepStrictEqual(fieldValue(merged, key), value)) put(key, prior);
  return { fields: merged, written: now, changes };
}

const fieldValue = (fields: readonly Field[], key: string): unknown => fields.find((field) => field.key === key)?.value;

const shown = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));

async function readFile(host: Host, exactPath: string): Promise<z.output<typeof fileSchema> | null> {
  const path = defaultsFile(host, exactPath);
  if ((await readText(path)) === null) return null;
  const parsed = fileSchema.safeParse(await readJson(path));
  if (parsed.success) return parsed.data;
  throw new HostFailure(
    "load_failed",
    `${path} does not hold a model's defaults as LM Studio writes them, so nothing was merged into it`,
    "repair or remove that file",
  );
}

async function removeFile(host: Host, exactPath: string): Promise<void> {
  const file = defaultsFile(host, exactPath);
  await rm(file, { force: true });
  const internal = join(host.paths.lmstudio, ".internal");
  for (let folder = dirname(file); folder !== internal; folder = dirname(folder)) {
    const gone = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!gone) return;
  }
}

const defaultsFile = (host: Host, exactPath: string): string =>
  join(host.paths.lmstudio, ".internal", "user-concrete-model-default-config", `${exactPath}.json`);

/** One record a file, so that the supervisor and a convergence of another model do not write over each other. */
const recordPath = (host: Host, exactPath: string): string =>
  join(recordFolder(host), `${encodeURIComponent(exactPath)}.json`);

const recordFolder = (host: Host): string => join(host.paths.state, "model-defaults");

const readRecord = (host: Host, exactPath: string): Promise<DefaultsRecord | null> =>
  readJson<DefaultsRecord>(recordPath(host, exactPath));
