/** Asks a host's proxy what it has counted. */
import { request } from "undici";
import { CliFault } from "../cli/fault.ts";
import { type Keys, ownKey } from "../proxy/keys.ts";
import { baseUrl, type HostSpec, isRemote } from "../spec/host-spec.ts";
import { isLoopback } from "../spec/rules.ts";
import { type Reading, readingOf } from "./metrics.ts";

const metricsMs = 5_000;

/** Of the host itself: `codex.baseUrl` may well be the gateway's, and is asked only where nothing else is reached from here. */
export function metricsUrl(spec: HostSpec): URL {
  const { baseUrl: _, ...codex } = spec.codex;
  const open = isRemote(spec.connection) && !isLoopback(spec.proxy.bind);
  return new URL("/metrics", baseUrl(open ? { ...spec, codex } : spec));
}

/** @throws CliFault with the address, what was found there and what to do */
export async function askMetrics(spec: HostSpec, keys: Keys, ended?: AbortSignal): Promise<Reading> {
  const address = metricsUrl(spec);
  const key = ownKey(keys);
  const fails = (found: string, next: string, cause?: unknown): CliFault =>
    new CliFault(`${address}: ${found}. Next: ${next}`, { cause });
  const signal = AbortSignal.any([AbortSignal.timeout(metricsMs), ...(ended ? [ended] : [])]);
  const headers = key === undefined ? {} : { authorization: `Bearer ${key.value}` };
  const asking = request(address, { headers, signal }).then(async ({ statusCode, body }) => ({
    status: statusCode,
    text: await body.text(),
  }));
  const { status, text } = await asking.catch((cause: Error & { code?: unknown }) => {
    const found = cause.name === "TimeoutError" ? `no answer in ${metricsMs / 1_000} s` : (cause.code ?? cause.message);
    throw fails(String(found), "look whether this machine reaches it, and `npx lmstack status`", cause);
  });
  if (status === 401 || status === 403)
    throw fails(`the key ${key?.id ?? "(none)"} is refused`, "`npx lmstack up` makes the host know the stack's keys");
  const reading = status === 200 ? readingOf(text, performance.now()) : null;
  if (reading === null) throw fails(`status ${status} without an lmstack proxy's figures`, "see what listens there");
  return reading;
}
