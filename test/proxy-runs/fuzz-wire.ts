/** Requests by chance on raw sockets: good ones and injured ones, alone and in rows, whole and in pieces. */
import { createHash } from "node:crypto";
import { mustHold, type Row } from "../e2e/rows.ts";
import { Adversary, type Heard, jsonAnswer } from "./adversary.ts";
import { WireClient } from "./client.ts";
import { endpoints, markerOf, requestBytes } from "./dialects.ts";
import type { FuzzOptions } from "./fuzz-bodies.ts";
import { mutate, pieces } from "./mutate.ts";
import { ProxyProcess } from "./proxy-process.ts";
import { Random } from "./random.ts";

const words = [
  ...["\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", "\0", ":", ",", "\xff", "HTTP/1.0", "HTTP/1.1", "GET / HTTP/1.1\r\n"],
  ...[
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Connection: close\r\n",
  ],
  ...[
    "Connection: keep-alive, content-length\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: websocket\r\nConnection: Upgrade\r\n",
    "Host: evil\r\n",
    "0\r\n\r\n",
  ],
  ...["Content-Encoding: gzip\r\n", " folded\r\n", "..", "%2e%2e/", "/api/v1/models/load", '"model":"x",', "{", "}"],
];

const concurrency = 48;
const quietMilliseconds = 1_500;
const shownExamples = 10;

/** Names a request and its connection; an injured one is told by its check. */
const markerFor = (tag: string, index: number) => `f${tag}-${index}-${checkOf(tag, String(index))}-`;
const checkOf = (tag: string, index: string) =>
  createHash("sha256").update(`${tag}-${index}`).digest("hex").slice(0, 8);

/** The connection that a marker names; undefined when it is none, or injured. */
function tagOf(text: string): string | undefined {
  const [, tag, index, check] = /^f([0-9]+)-([0-9]+)-([0-9a-f]{8})-$/.exec(text) ?? [];
  return tag !== undefined && index !== undefined && check === checkOf(tag, index) ? tag : undefined;
}

interface Tally {
  wrong: number;
  answered: number;
  refused: number;
}

export async function runWireFuzz({ inputs, seed, say }: FuzzOptions): Promise<Row[]> {
  const heard: { readonly tag: string | undefined; answered: boolean }[] = [];
  const odd: string[] = [];
  await using upstream = await Adversary.start({
    onRequest: (request, socket) => {
      const why = oddityOf(request);
      if (why !== undefined) odd.push(`${why}: ${request.method} ${request.target.slice(0, 80)}`);
      socket.write(jsonAnswer(JSON.stringify({ serial: heard.length, output: [] })));
      heard.push({ tag: tagOf(markerOf(request.fields)), answered: false });
    },
  });
  const limits = { headerSeconds: 0.5, bodySeconds: 0.5, bodyBytes: 65_536 };
  await using proxy = await ProxyProcess.start({ upstream: upstream.url, limits, heartbeatSeconds: 0 });
  const baseline = await proxy.steady();
  const random = new Random(seed);
  const tally: Tally = { wrong: 0, answered: 0, refused: 0 };
  let sent = 0;
  let told = performance.now();

  const work = async () => {
    while (sent < inputs && proxy.crash === undefined) {
      const tag = String(sent);
      const count = Math.min(1 + random.below(4), inputs - sent);
      sent += count;
      const plan = Array.from({ length: count }, (_, index) => oneRequest(markerFor(tag, index), random));
      const why = await connection(proxy.port, tag, plan, random, heard, tally);
      if (why !== undefined) {
        tally.wrong++;
        if (tally.wrong <= shownExamples)
          say(`  ${why}: ${JSON.stringify(plan.map(({ bytes }) => bytes.toString("latin1")).join(""))}`);
      }
      if (performance.now() - told > 10_000) {
        told = performance.now();
        say(`  requests by chance: ${sent} of ${inputs}`);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  for (const line of odd.slice(0, shownExamples)) say(`  upstream: ${line}`);
  upstream.reset();
  const left = proxy.crash === undefined ? await proxy.settled(baseline, 15_000) : [];
  const errors = proxy.internalErrors;
  for (const line of errors.slice(0, 3)) say(`  ${line}`);
  return [
    {
      name: `requests by chance, wrongly dealt with (${tally.answered} served, ${tally.refused} refused)`,
      value: tally.wrong,
      unit: `of ${sent}`,
      bar: "0",
      ok: tally.wrong === 0,
    },
    {
      name: "of them, requests upstream that can be read in two ways or are mixed up",
      value: odd.length,
      unit: `of ${heard.length}`,
      bar: "0",
      ok: odd.length === 0,
    },
    mustHold("requests by chance: the process lives", proxy.crash === undefined, proxy.crash ?? "yes"),
    mustHold(
      "requests by chance: no internal error, no warning",
      errors.length === 0 && proxy.errorText === "",
      `${errors[0] ?? ""}${proxy.errorText}`.slice(0, 500) || "none",
    ),
    mustHold("requests by chance: nothing left behind", left.length === 0, left.join("; ") || "nothing"),
  ];
}

interface Planned {
  readonly bytes: Buffer;
  readonly good: boolean;
}

function oneRequest(name: string, random: Random): Planned {
  const endpoint = random.pick(endpoints);
  const text = requestBytes(endpoint, name, { stream: endpoint.streams && random.below(2) === 0 });
  const [head = "", body = ""] = text.split("\r\n\r\n");
  switch (random.below(4)) {
    case 0:
      return {
        bytes: mutate(Buffer.from(random.below(2) === 0 ? asChunks(head, body, random) : text), random, words),
        good: false,
      };
    case 1: {
      const injured = mutate(Buffer.from(body), random, words).toString("latin1");
      return { bytes: Buffer.from(framed(head, injured, random), "latin1"), good: false };
    }
    default:
      return { bytes: Buffer.from(framed(head, body, random)), good: true };
  }
}

/** With a length, or in chunks. */
function framed(head: string, body: string, random: Random): string {
  if (random.below(3) === 0) return asChunks(head, body, random);
  return `${head.replace(/Content-Length: [0-9]+/, `Content-Length: ${body.length}`)}\r\n\r\n${body}`;
}

function asChunks(head: string, body: string, random: Random): string {
  const cut = random.below(body.length + 1);
  const chunks = [body.slice(0, cut), body.slice(cut)]
    .filter((part) => part !== "")
    .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
    .join("");
  return `${head.replace(/Content-Length: [0-9]+/, "Transfer-Encoding: chunked")}\r\n\r\n${chunks}0\r\n\r\n`;
}

/** Everything that one connection sends, and what comes back. Returns what is wrong, or nothing. */
async function connection(
  port: number,
  tag: string,
  plan: readonly Planned[],
  random: Random,
  heard: readonly { readonly tag: string | undefined; answered: boolean }[],
  tally: Tally,
): Promise<string | undefined> {
  const client = await WireClient.connect(port);
  try {
    const bytes = Buffer.concat(plan.map((planned) => planned.bytes));
    for (const piece of random.below(3) === 0 ? pieces(bytes, random) : [bytes]) {
      client.send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    let served = 0;
    let answers = 0;
    for (;;) {
      const reply = await client.answer("POST", quietMilliseconds);
      if (reply.kind === "malformed") return `an answer that is none (${reply.why})`;
      if (reply.kind === "hang") {
        client.halfClose();
        if (!(await client.end(5_000))) return "the connection does not end";
        break;
      }
      if (reply.kind === "closed") {
        if (reply.partial.length > 0)
          return `half an answer (${JSON.stringify(reply.partial.toString("latin1", 0, 200))})`;
        break;
      }
      if (reply.status === 500) return "the proxy blames itself";
      if (reply.status !== 200) tally.refused++;
      else {
        served++;
        tally.answered++;
        const why = belongs(reply.message.body, tag, heard);
        if (why !== undefined) return why;
      }
      if (++answers === plan.length) break;
    }
    const allGood = plan.every(({ good }) => good);
    return allGood && served < plan.length ? `${served} of ${plan.length} good requests were answered` : undefined;
  } finally {
    client.destroy();
  }
}

/** Whether an answer was made for a request of this connection, and for the first time. */
function belongs(
  body: Buffer,
  tag: string,
  heard: readonly { readonly tag: string | undefined; answered: boolean }[],
): string | undefined {
  const serial = /"serial":([0-9]+)/.exec(body.toString())?.[1];
  // Answers of the proxy's own: a list of models, a page.
  if (serial === undefined) return undefined;
  const request = heard[Number(serial)];
  if (request === undefined) return "an answer to nothing";
  if (request.answered) return "an answer that was given before";
  request.answered = true;
  return request.tag === undefined || request.tag === tag ? undefined : "somebody else's answer";
}

/** Why a request is not one that came in whole: framing of two meanings, or a head and a body of two requests. */
function oddityOf(request: Heard): string | undefined {
  if (request.oddities.length > 0) return request.oddities[0];
  const inHead = tagOf(markerOf(request.fields));
  const inBody = tagOf(/"user":"([^"]*)"/.exec(request.body.toString("latin1"))?.[1] ?? "");
  if (inHead !== undefined && inBody !== undefined && inHead !== inBody) return "a head and a body of two connections";
  return request.target.startsWith("/api/v1/models/") ? "a closed path" : undefined;
}
