/** What `lmstack keys` makes of a stack's file: pure, from text to text, with everything that is not a key left as it was. */
import { randomInt } from "node:crypto";
import { type Document, isMap, isScalar, isSeq, type YAMLMap, type YAMLSeq } from "yaml";
import { z } from "zod";
import { faultLine } from "../spec/faults.ts";
import { checkHostSpec } from "../spec/parse.ts";
import { CliFault } from "./fault.ts";
import { documentOf, quoted, specOf, specPath, textOf, word } from "./stack-yaml.ts";

/** As typed. */
export interface Wishes {
  /** Ids, separated by commas. */
  readonly models?: string;
  /** Requests per minute. */
  readonly rate?: string;
  /** A length of time, a day or a moment. */
  readonly expires?: string;
  readonly admin?: boolean;
}

/** As the spec has it, with nothing that a default says. */
export interface Entry {
  readonly id: string;
  readonly models?: readonly string[];
  readonly requestsPerMinute?: number;
  readonly expires?: string;
  readonly admin?: true;
}

export interface Listed extends Entry {
  /** A secret of this name is stored. */
  readonly secret: boolean;
}

const keysPath = [...specPath, "proxy", "keys"];
export const secretName = (id: string): string => `lmstack:secret.${id}`;

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** 190 bits, of signs that no shell, header or address treats in a way of its own. */
export const newKey = (): string =>
  `sk-lmstack-${Array.from({ length: 32 }, () => letters[randomInt(letters.length)]).join("")}`;

/** @throws CliFault for what no spec could say; what the spec itself refuses is found by `withKey`. */
export function entryFor(id: string, { models, rate, expires, admin }: Wishes, now: Date): Entry {
  if (rate !== undefined && !/^\d+(\.\d+)?$/.test(rate))
    throw new CliFault(`--rate: found ${JSON.stringify(rate)}; expected a number of requests per minute, such as 60`);
  const named = models?.split(",").map((model) => model.trim());
  return {
    id,
    ...(named === undefined ? {} : { models: named.filter((model) => model !== "") }),
    ...(rate === undefined ? {} : { requestsPerMinute: Number(rate) }),
    ...(expires === undefined ? {} : { expires: momentOf(expires, now) }),
    ...(admin ? { admin } : {}),
  };
}

const units: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 604_800_000 };

function momentOf(text: string, now: Date): string {
  const [, amount, unit] = /^(\d{1,5})([hdw])$/.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined)
    return momentText(now.getTime() + Number(amount) * (units[unit] as number), text, now);
  const moment = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text;
  if (!z.iso.datetime({ offset: true }).safeParse(moment).success)
    throw new CliFault(
      `--expires: found ${JSON.stringify(text)}; expected a length of time (12h, 30d, 8w), a day (2027-01-31, beginning in UTC) or a moment (2027-01-31T12:00:00Z)`,
    );
  return momentText(Date.parse(moment), text, now);
}

function momentText(moment: number, text: string, now: Date): string {
  if (moment <= now.getTime())
    throw new CliFault(`--expires: found ${JSON.stringify(text)}, which is over; expected a moment that is to come`);
  return new Date(moment).toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * @param file its name, for words
 * @throws CliFault when the name is taken or the spec would refuse the entry
 */
export function withKey(text: string, file: string, entry: Entry): string {
  const document = documentOf(text, file);
  const { id } = entry;
  const taken = listed(text, file).find((key) => key.id === id);
  if (taken) {
    const value = taken.secret ? "" : ", though without a value";
    throw new CliFault(
      `${file} has a key ${id} already${value}. Next: choose another name, or \`lmstack keys revoke ${id}\` first`,
    );
  }
  const faults = entryFaults(specOf(document), entry);
  if (faults.length > 0) throw new CliFault(["nothing was changed:", ...faults].join("\n  "));
  const list = document.getIn(keysPath);
  const node = nodeOf(document, entry);
  if (isSeq(list)) list.add(node);
  else document.setIn(keysPath, document.createNode([node]));
  // It says nothing beside keys, and would open the endpoint again when the last of them goes.
  document.deleteIn([...keysPath.slice(0, -1), "allowAnonymous"]);
  return textOf(document);
}

export interface Without {
  readonly text: string;
  /** The file named the key. */
  readonly found: boolean;
  /** Why `pulumi up` will refuse what is left: it was the last one, and the proxy can be reached from outside. */
  readonly refusal?: string;
}

export function withoutKey(text: string, file: string, id: string): Without {
  const document = documentOf(text, file);
  const list = document.getIn(keysPath);
  if (!isSeq(list)) return { text, found: false };
  const left = list.items.filter((item) => idOf(item) !== id);
  if (left.length === list.items.length) return { text, found: false };
  list.items = left;
  const open = checkHostSpec(specOf(document)).faults.find(({ where }) => where === "proxy.bind");
  return { text: textOf(document), found: true, ...(open ? { refusal: faultLine(open) } : {}) };
}

export function listed(text: string, file: string): Listed[] {
  const document = documentOf(text, file);
  const list = document.getIn(keysPath);
  if (!isSeq(list)) return [];
  const entries = (list as YAMLSeq).toJS(document) as (string | Entry)[];
  return entries.flatMap((entry) => {
    const key = typeof entry === "string" ? { id: entry } : entry;
    return typeof key?.id === "string" ? [{ ...key, secret: hasSecret(text, file, key.id) }] : [];
  });
}

export const hasSecret = (text: string, file: string, id: string): boolean =>
  documentOf(text, file).hasIn(["config", secretName(id)]);

const idOf = (item: unknown): unknown => {
  if (isScalar(item)) return item.value;
  return isMap(item) ? (item as YAMLMap).get("id") : undefined;
};

/** The name alone where nothing binds the key. */
function nodeOf(document: Document, entry: Entry) {
  const { id, models, expires, ...rest } = entry;
  if (Object.keys(entry).length === 1) return word(id);
  const fields = {
    id: word(id),
    ...(models === undefined ? {} : { models: models.map(word) }),
    ...rest,
    ...(expires === undefined ? {} : { expires: quoted(expires) }),
  };
  return document.createNode(fields, { flow: true });
}

/** Judged without the other keys: a fault in one of those is not this one's, and would hide what is wrong with it. */
function entryFaults(spec: Record<string, unknown>, entry: Entry): string[] {
  const { faults } = checkHostSpec({ ...spec, proxy: { ...(spec.proxy as object | undefined), keys: [entry] } });
  const own = faults.filter(({ where }) => where.startsWith("proxy.keys[0]"));
  return own.map((fault) => faultLine(fault).replaceAll("proxy.keys[0]", `the key ${entry.id}`));
}
