/** Many requests through a proxy to an upstream that fails in one way, and what they and the process looked like at the end. */
import { mustHold, type Row } from "../e2e/rows.ts";
import { Adversary, type Heard } from "./adversary.ts";
import { type Reply, WireClient } from "./client.ts";
import { type Endpoint, endpoints, markerOf, requestBytes } from "./dialects.ts";
import type { Exchange } from "./fault-answers.ts";
import { type End, type FaultKind, faultKinds, type Variant } from "./fault-kinds.ts";
import { judge, type Verdict } from "./judge.ts";
import { ProxyProcess, type Vitals } from "./proxy-process.ts";
import { Random } from "./random.ts";

export interface FaultRunOptions {
  readonly kinds?: readonly FaultKind[];
  readonly requests: number;
  readonly seed: number;
  readonly concurrency?: number;
  readonly say: (line: string) => void;
}

interface Plan {
  readonly variant: Variant;
  readonly endpoint: Endpoint;
  readonly stream: boolean;
  readonly random: Random;
}

const progressMilliseconds = 10_000;
const settleMilliseconds = 15_000;
/** Beyond what the collector leaves lying about from one look to the next. */
const heapBar = 8 * 1_048_576;
const shownExamples = 6;
const workGauge = /^lmstack_(?:open_streams|running|queued)\b/;

export async function runFaults(options: FaultRunOptions): Promise<Row[]> {
  const { kinds = faultKinds, say } = options;
  await using upstream = await Adversary.start({ onRequest: () => {} });
  await using proxy = await ProxyProcess.start({
    upstream: upstream.url,
    models: { m: { slots: 16 }, "*": {} },
    // Short, so that the longer silences of the upstream are bridged.
    heartbeatSeconds: 0.4,
  });
  const run = new FaultRun(upstream, proxy, options);
  await run.serve({ name: "warm-up", variants: [healthy] }, 300);
  upstream.reset();
  const baseline = await proxy.steady();
  const rows: Row[] = [];
  for (const kind of kinds) {
    const started = performance.now();
    const found = await run.kind(kind, baseline);
    say(`${kind.name}: ${((performance.now() - started) / 1_000).toFixed(1)} s`);
    rows.push(...found);
  }
  const after = proxy.crash === undefined ? await proxy.vitals() : baseline;
  const grown = after.heapBytes - baseline.heapBytes;
  return [
    ...rows,
    {
      name: "heap after it all, above the baseline",
      value: (grown / 1_048_576).toFixed(1),
      unit: "MB",
      bar: "at most 8",
      ok: grown <= heapBar,
    },
    mustHold("the process that started is the one that ended", proxy.crash === undefined, proxy.crash ?? "it is"),
    mustHold("no warning and no stack beside the log", proxy.errorText === "", proxy.errorText.slice(0, 500) || "none"),
  ];
}

const healthy: Variant = {
  name: "answers",
  allowed: ["complete"],
  play: ({ socket, stream, body }) => {
    const type = stream ? "text/event-stream" : "application/json";
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`, "latin1");
  },
};

class FaultRun {
  readonly #upstream: Adversary;
  readonly #proxy: ProxyProcess;
  readonly #options: FaultRunOptions;
  readonly #plans = new Map<string, Plan>();
  #stalled = 0;
  #dying: Promise<void> | undefined;

  constructor(upstream: Adversary, proxy: ProxyProcess, options: FaultRunOptions) {
    this.#upstream = upstream;
    this.#proxy = proxy;
    this.#options = options;
  }

  async kind(kind: FaultKind, baseline: Vitals): Promise<Row[]> {
    const { say, requests } = this.#options;
    const errorsBefore = this.#proxy.internalErrors.length;
    const found = await this.serve(kind, requests);
    for (const line of found.examples) say(`  ${kind.name}: ${line}`);
    await this.#dying;
    const cancelled = await until(() => this.#stalled === 0);
    this.#upstream.reset();
    const left = this.#proxy.crash === undefined ? await this.#proxy.settled(baseline, settleMilliseconds) : [];
    for (const line of left) say(`  ${kind.name}: left behind: ${line}`);
    const busy = await this.#busy();
    const errors = this.#proxy.internalErrors.slice(errorsBefore);
    for (const line of errors.slice(0, 3)) say(`  ${kind.name}: ${line}`);
    const healed = await this.serve({ name: `${kind.name}-after`, variants: [healthy] }, endpoints.length * 4);
    for (const line of healed.examples) say(`  ${kind.name}: afterwards: ${line}`);
    const ends = [...found.ends].map(([end, count]) => `${count} ${end}`).join(", ");
    const rows: Row[] = [
      {
        name: `${kind.name}: ends that no client can read (${ends})`,
        value: found.wrong,
        unit: `of ${requests}`,
        bar: "0",
        ok: found.wrong === 0,
      },
      mustHold(
        `${kind.name}: serves on afterwards`,
        healed.wrong === 0,
        healed.wrong === 0 ? "yes" : `${healed.wrong} failed`,
      ),
      mustHold(`${kind.name}: nothing left behind`, left.length === 0, left.join("; ") || "nothing"),
      mustHold(`${kind.name}: the gauges are back at 0`, busy === "", busy || "yes"),
      mustHold(`${kind.name}: no internal error`, errors.length === 0, `${errors.length}`),
    ];
    if (kind.answered !== undefined) {
      const share = (found.ends.get("complete") ?? 0) / requests;
      rows.push({
        name: `${kind.name}: answered all the same`,
        value: (share * 100).toFixed(2),
        unit: "%",
        bar: `at least ${kind.answered * 100}`,
        ok: share >= kind.answered,
      });
    }
    if (kind.name === "stall")
      rows.push(mustHold("stall: every client that left was noticed upstream", cancelled, `${this.#stalled} were not`));
    return rows;
  }

  /** Gauges of work in progress that are above 0 after a moment, as the metrics print them. */
  async #busy(): Promise<string> {
    let lines: string[] = [];
    const look = async () => {
      const client = await WireClient.connect(this.#proxy.port);
      client.send("GET /metrics HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n");
      const reply = await client.answer();
      client.destroy();
      const text =
        reply.kind === "answer" && reply.status === 200
          ? reply.message.body.toString()
          : "lmstack_open_streams is not there";
      lines = text.split("\n").filter((line) => workGauge.test(line) && !line.endsWith(" 0"));
      return lines.length === 0;
    };
    for (let tries = 0; tries < 40 && !(await look()); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
    return lines.join("; ");
  }

  /** `requests` of one kind, some of them at once. */
  async serve(
    kind: FaultKind,
    requests: number,
  ): Promise<{ ends: Map<string, number>; wrong: number; examples: string[] }> {
    const random = new Random(this.#options.seed);
    const ends = new Map<string, number>();
    const examples: string[] = [];
    let wrong = 0;
    let next = 0;
    let told = performance.now();
    this.#upstream.behave({
      onHead: (heard, socket) => this.#play(heard, socket, true),
      onRequest: (heard, socket) => void this.#play(heard, socket, false),
      ...(kind.catalog === undefined ? {} : { onCatalog: (socket) => kind.catalog?.(socket, random) }),
    });
    const work = async () => {
      let client: WireClient | undefined;
      while (next < requests && this.#proxy.crash === undefined) {
        const n = next++;
        const endpoint = random.pick(endpoints);
        const variant = kind.variants[n % kind.variants.length] as Variant;
        const plan: Plan = { variant, endpoint, stream: endpoint.streams && random.below(2) === 0, random };
        const marker = `${kind.name}-${n}-`;
        this.#plans.set(marker, plan);
        if (client === undefined || client.ended) client = await WireClient.connect(this.#proxy.port);
        const { verdict, keep } = await ask(client, marker, plan);
        this.#plans.delete(marker);
        if (!keep) {
          client.destroy();
          client = undefined;
        }
        const why =
          verdict.kind === "wrong" ? verdict.why : isAllowed(verdict.kind, plan) ? undefined : `ended ${verdict.kind}`;
        ends.set(verdict.kind, (ends.get(verdict.kind) ?? 0) + 1);
        if (why !== undefined) {
          wrong++;
          if (examples.length < shownExamples)
            examples.push(`${marker} ${endpoint.path}${plan.stream ? " streamed" : ""}, ${variant.name}: ${why}`);
        }
        if (performance.now() - told > progressMilliseconds) {
          told = performance.now();
          this.#options.say(`  ${kind.name}: ${n} of ${requests}`);
        }
      }
      client?.destroy();
    };
    await Promise.all(Array.from({ length: Math.min(this.#options.concurrency ?? 32, requests) }, work));
    return { ends, wrong, examples };
  }

  /** True when the request was dealt with before its body was there. */
  #play(heard: Omit<Heard, "body">, socket: Exchange["socket"], atHead: boolean): boolean {
    const marker = markerOf(heard.fields);
    const plan = this.#plans.get(marker);
    // Its client has gone already.
    if (plan === undefined) return false;
    if ((plan.variant.earlyOf !== undefined) !== atHead) return false;
    const { endpoint, stream, random } = plan;
    const pieces = stream
      ? [...endpoint.events(marker), endpoint.done].filter((piece) => piece !== "")
      : [JSON.stringify(endpoint.document(marker))];
    const stall = () => {
      this.#stalled++;
      socket.once("close", () => this.#stalled--);
    };
    const die = () => {
      this.#dying ??= this.#dieAndReturn();
    };
    plan.variant.play({ socket, stream, pieces, body: pieces.join(""), random, stall, die });
    return atHead;
  }

  async #dieAndReturn(): Promise<void> {
    await this.#upstream.die();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await this.#upstream.comeBack();
    this.#dying = undefined;
  }
}

async function ask(client: WireClient, marker: string, plan: Plan): Promise<{ verdict: Verdict; keep: boolean }> {
  const { endpoint, stream, variant } = plan;
  const { model, earlyOf, patience, answer } = variant;
  client.send(requestBytes(endpoint, marker, { stream, ...(model && { model }), ...(earlyOf && { filler: earlyOf }) }));
  const reply: Reply = await client.answer("POST", patience === undefined ? 10_000 : patience * plan.random.next());
  if (patience !== undefined && reply.kind === "hang") return { verdict: { kind: "gave-up" }, keep: false };
  const body = stream ? endpoint.events(marker).join("") + endpoint.done : JSON.stringify(endpoint.document(marker));
  const whole = variant.never ? undefined : (answer?.body ?? (variant.prefix ?? "") + body);
  const verdict = judge({ endpoint, marker, stream, whole, status: answer?.status ?? 200 }, reply);
  return { verdict, keep: reply.kind === "answer" && !reply.message.last };
}

const meanings: Record<Exclude<Verdict["kind"], "wrong">, readonly End[]> = {
  complete: ["complete"],
  status: ["status", "failed"],
  "late-status": ["status", "failed"],
  "failed-event": ["failed"],
  broken: ["failed"],
  "gave-up": ["gave-up"],
};

/** Whether an end is one of those that the variant may have. */
function isAllowed(end: Exclude<Verdict["kind"], "wrong">, { variant, stream }: Plan): boolean {
  const names = meanings[end].filter((name) => name !== "failed" || end === "status" || (end === "broken") !== stream);
  // An answer that is itself an error cannot be passed on as one either, once there was a heartbeat.
  if (end === "late-status" && variant.answer !== undefined) return true;
  return names.some((name) => variant.allowed.includes(name));
}

async function until(condition: () => boolean): Promise<boolean> {
  const deadline = performance.now() + 5_000;
  while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  return condition();
}
