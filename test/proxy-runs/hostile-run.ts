/** Plays each hostile case against a real proxy and looks at its answers, at the upstream, and at the next client. */
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { mustHold, type Row } from "../e2e/rows.ts";
import { Adversary, type Heard, jsonAnswer } from "./adversary.ts";
import { WireClient } from "./client.ts";
import { bodyCases } from "./hostile-bodies.ts";
import type { Expected, HostileCase } from "./hostile-case.ts";
import { framingCases } from "./hostile-framing.ts";
import { headCases } from "./hostile-heads.ts";
import { hostileLimits } from "./hostile-limits.ts";
import { targetCases } from "./hostile-targets.ts";
import { fieldOf } from "./message.ts";
import { ProxyProcess, type Vitals } from "./proxy-process.ts";

export const hostileCases: readonly HostileCase[] = [...framingCases, ...headCases, ...targetCases, ...bodyCases];

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const settleMilliseconds = 15_000;

/** Bodies arrive as they were sent: nothing about thinking or tools is changed here. */
const untouched = {
  models: { "*": { thinking: "client" } },
  codexTools: "pass",
  heartbeatSeconds: 0,
  limits: hostileLimits,
} as const;
const keys = [
  { id: "all", sha256: sha256("key-of-all"), models: ["*"] },
  { id: "one", sha256: sha256("key-of-one"), models: ["one"] },
];

export async function runHostile(cases: readonly HostileCase[], say: (line: string) => void): Promise<Row[]> {
  const heard: Heard[] = [];
  const answerPlainly = (request: Heard, socket: Socket) =>
    void socket.write(jsonAnswer(JSON.stringify({ ok: true, target: request.target })));
  await using upstream = await Adversary.start({ onRequest: answerPlainly });
  await using open = await ProxyProcess.start({ upstream: upstream.url, ...untouched });
  await using keyed = await ProxyProcess.start({ upstream: upstream.url, ...untouched, keys });
  const rows: Row[] = [];
  const baselines = new Map<ProxyProcess, Vitals>();
  for (const proxy of [open, keyed]) {
    const wrong = await nextClient(proxy.port, proxy === keyed);
    if (wrong !== undefined) throw new Error(`before the first case, ${wrong}`);
    upstream.reset();
    baselines.set(proxy, await proxy.steady());
  }
  let told = performance.now();
  for (const [index, hostile] of cases.entries()) {
    const proxy = hostile.keyed ? keyed : open;
    heard.length = 0;
    upstream.behave({
      onRequest: (request, socket) => {
        heard.push(request);
        if (hostile.answer !== undefined && !request.target.endsWith("/next")) hostile.answer(request, socket);
        else answerPlainly(request, socket);
      },
    });
    const found = await play(hostile, proxy, upstream, heard);
    const next = proxy.crash ?? (await nextClient(proxy.port, proxy === keyed));
    const wrong = found ?? next;
    if (wrong !== undefined) say(`NO  ${hostile.name}: ${wrong}`);
    rows.push(mustHold(hostile.name, wrong === undefined, wrong ?? "yes"));
    if (performance.now() - told > 10_000) {
      told = performance.now();
      say(`  ${index + 1} of ${cases.length} cases`);
    }
  }
  for (const [proxy, baseline] of baselines) {
    const which = proxy === keyed ? "with keys" : "open";
    upstream.reset();
    const left = proxy.crash === undefined ? await proxy.settled(baseline, settleMilliseconds) : [proxy.crash];
    rows.push(
      mustHold(`${which}: nothing is left behind of all this`, left.length === 0, left.join("; ") || "nothing"),
      mustHold(`${which}: no internal error`, proxy.internalErrors.length === 0, proxy.internalErrors[0] ?? "none"),
      mustHold(`${which}: no warning and no stack`, proxy.errorText === "", proxy.errorText.slice(0, 500) || "none"),
    );
  }
  return rows;
}

/** What is wrong, or nothing. */
async function play(
  hostile: HostileCase,
  proxy: ProxyProcess,
  upstream: Adversary,
  heard: readonly Heard[],
): Promise<string | undefined> {
  const client = await WireClient.connect(proxy.port);
  try {
    const wrong = hostile.play ? await hostile.play({ client, upstream, heard }) : await exchange(client, hostile);
    return wrong ?? reached(hostile, heard);
  } finally {
    client.destroy();
  }
}

async function exchange(client: WireClient, hostile: HostileCase): Promise<string | undefined> {
  client.send(hostile.bytes ?? "");
  if (hostile.ends) client.halfClose();
  const method = hostile.bytes?.toString("latin1", 0, 5).startsWith("HEAD ") ? "HEAD" : "POST";
  const statuses: number[] = [];
  for (;;) {
    const reply = await client.answer(method, 10_000);
    if (reply.kind === "hang") return `no end within ten seconds, after ${statuses.join(", ") || "no answer"}`;
    if (reply.kind === "malformed") return `an answer that is none: ${reply.why}`;
    if (reply.kind === "closed") {
      if (reply.partial.length > 0)
        return `half an answer: ${JSON.stringify(reply.partial.toString("latin1", 0, 200))}`;
      break;
    }
    if (reply.message.fields.some(([name]) => name.includes("evil")))
      return "a field of the answer came out of a value";
    statuses.push(reply.status);
    // Only then: an end that comes earlier is a client that has gone.
    if (statuses.length === hostile.answers.length) client.halfClose();
    if (reply.status >= 400 && !isWorded(reply.message.body))
      return `a ${reply.status} without words: ${JSON.stringify(reply.message.body.toString("latin1", 0, 200))}`;
  }
  const wanted = hostile.answers;
  const found = [...statuses, ...wanted.slice(statuses.length).map(() => 0)];
  const fits =
    found.length === wanted.length && found.every((status, index) => matches(status, wanted[index] as Expected));
  if (fits) return undefined;
  return `answered ${found.join(", ")}, expected ${wanted.map((one) => (typeof one === "number" ? one : one.join("|"))).join(", ")}`;
}

const matches = (status: number, expected: Expected) =>
  typeof expected === "number" ? status === expected : expected.includes(status);

function isWorded(body: Buffer): boolean {
  try {
    return typeof (JSON.parse(body.toString()) as { error: { message: unknown } }).error.message === "string";
  } catch {
    return false;
  }
}

function reached(hostile: HostileCase, heard: readonly Heard[]): string | undefined {
  const odd = heard.find(({ oddities }) => oddities.length > 0);
  if (odd !== undefined) return `upstream got what can be read in two ways: ${odd.oddities[0]}`;
  const leaked = heard.find(({ fields }) => fields.some(([, value]) => value.includes("key-of-")));
  if (leaked !== undefined) return "a key reached the upstream";
  const hop = heard
    .flatMap(({ fields }) => fields)
    .find(([name]) => ["te", "keep-alive", "upgrade", "trailer", "expect", "http2-settings"].includes(name));
  if (hop !== undefined) return `a field of the client's connection reached the upstream: ${hop.join(": ")}`;
  // A case with a play of its own may leave open whether its request is served; where it says, it is exact.
  if (hostile.upstream === undefined && hostile.play !== undefined) return undefined;
  const wanted = hostile.upstream ?? [];
  const served = hostile.answers.some((one) => typeof one !== "number" && one.includes(200)) ? heard.length > 0 : true;
  if (!served) return undefined;
  if (heard.length !== wanted.length)
    return `${heard.length} requests upstream, expected ${wanted.length}: ${heard.map(({ method, target }) => `${method} ${target.slice(0, 60)}`).join(", ")}`;
  for (const [index, want] of wanted.entries()) {
    const got = heard[index] as Heard;
    if (got.target !== want.target) return `upstream saw ${got.target}, expected ${want.target}`;
    if (want.method !== undefined && got.method !== want.method)
      return `upstream saw ${got.method}, expected ${want.method}`;
    if (want.body !== undefined && got.body.toString("utf8") !== want.body)
      return `upstream got another body: ${JSON.stringify(got.body.toString("utf8", 0, 200))}`;
  }
  return undefined;
}

/** Whoever comes next on a connection of their own is served. */
async function nextClient(port: number, withKey: boolean): Promise<string | undefined> {
  const client = await WireClient.connect(port);
  client.send(
    `GET /v1/models/next HTTP/1.1\r\nHost: x\r\n${withKey ? "Authorization: Bearer key-of-all\r\n" : ""}\r\n`,
  );
  const reply = await client.answer("GET", 10_000);
  client.destroy();
  if (reply.kind !== "answer" || reply.status !== 200)
    return `the next client got ${reply.kind === "answer" ? reply.status : reply.kind}`;
  const length = fieldOf(reply.message.fields, "content-length");
  return length === undefined || reply.message.body.includes("/v1/models/next")
    ? undefined
    : "the next client got somebody else's answer";
}
