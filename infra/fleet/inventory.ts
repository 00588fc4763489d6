/**
 * What a fleet is, as a user writes it in `fleet.yaml`: forms only, what spans several keys is in `compose.ts`. Profiles and hosts hold parts of a
 * `HostSpec`; only what comes out of them for one host is a whole one, and is judged by the rules of every other spec.
 */
import { z } from "zod";
import { identifier, port, sections } from "../spec/host-spec.ts";
import { hostJsonSchema } from "../spec/parse.ts";

const part = z
  .record(z.string(), z.unknown())
  .describe("A part of lmstack:host: maps are merged, everything else replaces what was there, null takes it away");
const selector = z.record(z.string(), z.string()).describe("Labels, all of which a host must have");
const share = (expected = 'a share such as "25%"') => z.string().regex(/^(100|[1-9]?\d)%$/, expected);
const amount = (least: number) => {
  const expected = `a whole number from ${least}, or a share such as "25%"`;
  return z.union([z.int(expected).min(least, expected), share(expected)], expected);
};
const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time in quotes, such as "22:00"');

/** For hosts with these labels, for all without. Where several apply to a host, one that is open is enough. */
const maintenanceWindow = z.strictObject({
  days: z
    .array(z.enum(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]))
    .min(1)
    .optional()
    .describe("Days on which it opens; every day when left out"),
  from: clock,
  to: clock.describe("Before `from`: on the next day"),
  zone: z
    .string()
    .refine(isZone, "a time zone such as Europe/Berlin")
    .default("UTC")
    .describe("Whose clock from and to are read on"),
  hosts: selector.default({}),
});

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}

export const policySchema = z.strictObject({
  canary: selector.optional().describe("Hosts that go first; without it the least busy one does"),
  wave: amount(1).default("25%").describe("Most hosts in a wave; a share is of all hosts, at least one"),
  maxUnavailable: amount(1)
    .default(1)
    .describe("Most hosts that do not serve at once, in each group and each platform"),
  keepServing: z.int().min(0).default(1).describe("Hosts that go on serving each declared model"),
  errorBudget: amount(0).default(0).describe("Hosts that may fail before nothing more is changed"),
  bakeSeconds: z.int().min(0).default(60).describe("How long the canary is watched at work before others follow"),
  leastSpeed: share()
    .default("30%")
    .describe("Tokens a second that a host must reach after a change, of what it reached before"),
  hostBytesPerSecond: z
    .int()
    .min(1024)
    .optional()
    .describe("Most that a host sends to others when a model's file goes from host to host"),
  windows: z.array(maintenanceWindow).default([]).describe("When hosts may be changed; always without any"),
});

export const profileSchema = z.strictObject({ extends: z.array(z.string()).default([]), spec: part });
export const hostSchema = z.strictObject({
  profile: z.string().optional(),
  labels: z.record(z.string(), z.string("a text: put it in quotes")).default({}),
  spec: part.default({}).describe("What is this host's own"),
});

/** One HAProxy in front of all hosts, a service of the user who connects. */
export const gatewaySchema = z.strictObject({
  stack: identifier.default("gateway").describe("Name of its stack"),
  connection: sections.connection,
  bind: z.string().min(1).default("0.0.0.0"),
  port: port.default(8080),
  tls: z
    .string()
    .startsWith("/", "an absolute path")
    .optional()
    .describe("PEM file with key and chain, or a folder of such, on the gateway's machine"),
  metrics: z
    .strictObject({ bind: z.string().min(1).default("127.0.0.1"), port: port.default(8404) })
    .prefault({})
    .describe("Where Prometheus finds HAProxy's own figures"),
  baseUrl: z
    .url({ protocol: /^https?$/, error: "an address with http or https" })
    .optional()
    .describe("Where clients reach it, ending in /v1"),
});

const fleet = z.strictObject({
  profiles: z.record(identifier, profileSchema).default({}).describe("Parts of a spec that hosts share"),
  groups: z.record(identifier, selector).default({}).describe("Hosts that stand in for each other, by label"),
  hosts: z.record(identifier, hostSchema).describe("By the name of the host's stack"),
  rollout: policySchema.prefault({}),
  gateway: gatewaySchema.optional().describe("One endpoint for all hosts"),
});

export const fleetSchema = fleet;
export type Profile = z.output<typeof profileSchema>;
export type Host = z.output<typeof hostSchema>;
export type GatewaySpec = z.output<typeof gatewaySchema>;
export type Policy = z.output<typeof policySchema>;
export type MaintenanceWindow = Policy["windows"][number];
export type Selector = Readonly<Record<string, string>>;

export const selects = (wanted: Selector, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([label, value]) => labels[label] === value);

/** JSON Schema of `fleet.yaml`, for editors: parts of a spec are completed as the spec itself, with nothing required. */
export const fleetJsonSchema = (): object =>
  z.toJSONSchema(fleet, {
    io: "input",
    target: "draft-7",
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === (part as z.core.$ZodType)) Object.assign(jsonSchema, optional(hostJsonSchema()));
    },
  });

function optional(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(optional);
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(
    ([key, value]) => key !== "$schema" && !(key === "required" && Array.isArray(value)),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, optional(value)]));
}
