/** What the verbs about models make of a stack's file: pure, from document to document, with everything else left as it was. */
import { type Document, isMap, isSeq, type YAMLMap } from "yaml";
import { faultLine } from "../spec/faults.ts";
import type { ModelSpec } from "../spec/host-spec.ts";
import { hubUrl } from "../spec/model-names.ts";
import { checkHostSpec } from "../spec/parse.ts";
import { CliFault, UsageFault } from "./fault.ts";
import { documentOf, specOf, specPath, textOf, word } from "./stack-yaml.ts";

/** As the spec has a model, with only what was said. Numbers that are none stay texts, so that the spec says what it expected. */
export interface ModelWish {
  readonly id: string;
  readonly source: Readonly<Record<string, string>>;
  readonly sha256?: string | undefined;
  readonly import?: string | undefined;
  readonly publisher?: string | undefined;
  readonly repo?: string | undefined;
  readonly thinking?: string | undefined;
  readonly load: {
    readonly gpu?: number | string | undefined;
    readonly contextLength?: number | string | undefined;
    readonly parallel?: number | string | undefined;
  };
}

const modelsPath = [...specPath, "models"];

/** What a new entry says although the spec has it as a default: what a person looks for and edits. */
const spelledOut = { load: { gpu: "max", contextLength: 200_000, parallel: 2 }, thinking: "off" } as const;

/** `/path`, an address, or `owner/repo/file.gguf@revision`; what needs more than one word is written into the file. */
export function sourceOf(text: string): Record<string, string> {
  if (/^https?:\/\//.test(text)) return { url: text };
  return hubUrl(text) === null ? { path: text } : { hf: text };
}

/** A number where it is one. */
export const numeric = (text: string): number | string => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : text);

/**
 * Adds the model, or brings the entry of this id in line with what was said; the rest of it stays.
 * @returns its place among the models
 */
export function putModel(document: Document, wish: ModelWish): number {
  const { id, source, load, ...rest } = wish;
  const list = document.getIn(modelsPath);
  const place = isSeq(list) ? list.items.findIndex((item) => isMap(item) && item.get("id") === id) : -1;
  if (place < 0) {
    const fresh = document.createNode({
      id: word(id),
      source,
      ...rest,
      load: { ...spelledOut.load, ...said(load) },
      thinking: rest.thinking ?? spelledOut.thinking,
    });
    const inner = (key: string) => fresh.get(key) as YAMLMap;
    for (const key of ["source", "load"]) inner(key).flow = true;
    if (isSeq(list)) list.add(fresh);
    else document.setIn(modelsPath, document.createNode([fresh]));
    return isSeq(list) ? list.items.length - 1 : 0;
  }
  const at = [...modelsPath, place];
  const before = (document.getIn([...at, "source"]) as YAMLMap | undefined)?.toJSON?.();
  if (JSON.stringify(before) !== JSON.stringify(source)) {
    document.setIn([...at, "source"], document.createNode(source, { flow: true }));
    // It was the digest of another file.
    if (rest.sha256 === undefined) document.deleteIn([...at, "sha256"]);
  }
  for (const [key, value] of Object.entries(rest)) setIfOther(document, [...at, key], value);
  for (const [key, value] of Object.entries(load)) setIfOther(document, [...at, "load", key], value);
  return place;
}

const said = (parts: object): object =>
  Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined));

/** What was not said changes nothing; a value that is there already keeps its quotes and comments. */
export function setIfOther(document: Document, path: readonly (string | number)[], value: unknown): void {
  if (value !== undefined && document.getIn(path) !== value) document.setIn(path, value);
}

/** @throws CliFault when the id is taken or the spec would refuse the model */
export function withModel(text: string, file: string, wish: ModelWish): string {
  const document = documentOf(text, file);
  if (modelIds(document).some((id) => id.toLowerCase() === wish.id.toLowerCase()))
    throw new CliFault(
      `${file} has a model ${wish.id} already. Next: another name, or \`lmstack model remove ${wish.id}\` first`,
    );
  const place = putModel(document, wish);
  refuse(
    document,
    (where) => where.startsWith(`models[${place}]`),
    (line) => line.replaceAll(`models[${place}]`, `the model ${wish.id}`),
  );
  return textOf(document);
}

/**
 * @param ids all when undefined
 * @throws CliFault when one is not there, or something else in the spec needs it
 */
export function withoutModels(text: string, file: string, ids: readonly string[] | undefined): string {
  const document = documentOf(text, file);
  const known = modelIds(document);
  for (const id of ids ?? [])
    if (!known.includes(id)) throw new CliFault(`${file} has no model ${id}; it has ${known.join(", ") || "none"}`);
  const list = document.getIn(modelsPath);
  if (!isSeq(list)) return text;
  const gone = ids ?? known;
  const left = list.items.filter((item) => !(isMap(item) && gone.includes(String(item.get("id")))));
  if (left.length === list.items.length) return text;
  list.items = left;
  if (left.length === 0) list.flow = true;
  refuse(document, (where) => where.startsWith("proxy.keys"));
  return textOf(document);
}

/** As declared, defaults filled in where the spec is sound. */
export function declaredModels(text: string, file: string): ModelSpec[] {
  const { spec, faults } = checkHostSpec(specOf(documentOf(text, file)));
  if (!spec) throw new CliFault([`${file} has faults:`, ...faults.map(faultLine)].join("\n  "));
  return spec.models;
}

function modelIds(document: Document): string[] {
  const { models } = specOf(document);
  return Array.isArray(models) ? models.map((model: { id?: unknown }) => String(model?.id)) : [];
}

function refuse(
  document: Document,
  own: (where: string) => boolean,
  words: (line: string) => string = (line) => line,
): void {
  const faults = checkHostSpec(specOf(document)).faults.filter(({ where }) => own(where));
  if (faults.length > 0)
    throw new UsageFault(["nothing was changed:", ...faults.map((fault) => words(faultLine(fault)))].join("\n  "));
}
