/** Bodies, pace and endings: what is too much, too slow, or over before its time. */
import {
  chatBody,
  chatPath,
  chatWith,
  type HostileCase,
  inChunks,
  type Stage,
  sized,
  smuggled,
  theChat,
} from "./hostile-case.ts";
import { bodyBytes } from "./hostile-limits.ts";

const length = sized(chatBody);
const chat = (body: string | Buffer, path = chatPath): Buffer => {
  const bytes = Buffer.from(body);
  return Buffer.concat([Buffer.from(chatWith(`Content-Length: ${bytes.length}`, "", path)), bytes]);
};
const large = `{"model":"m","messages":[],"x":"${"x".repeat(bodyBytes)}"}`;

const bodies: HostileCase[] = [
  ...[
    "",
    "null",
    "[]",
    "7",
    '"x"',
    "{",
    '{"model":"m"',
    '{"model":"m",}',
    '{"model":"m"}x',
    "{'model':'m'}",
    '{"model":"\ud800"}'.slice(0, -1),
    "\0",
    '{"a":1}{"b":2}',
  ].map((body) => ({
    name: `a body ${JSON.stringify(body)}`,
    bytes: chat(body),
    answers: [400],
  })),
  {
    name: "a body of 60,000 brackets",
    bytes: chat(`{"model":"m","messages":${"[".repeat(30_000)}${"]".repeat(30_000)}}`),
    answers: [[200, 400]],
    upstream: [{ target: chatPath }],
  },
  {
    name: "a body of 30,000 open brackets",
    bytes: chat(`{"model":"m","messages":${"[".repeat(30_000)}`),
    answers: [400],
  },
  {
    name: "a body that is no UTF-8",
    bytes: chat(Buffer.from('{"model":"m","messages":[],"x":"\xff\xfe\xc0\x80"}', "latin1")),
    answers: [[200, 400]],
    upstream: [{ target: chatPath }],
  },
  {
    name: "a member __proto__",
    bytes: chat('{"model":"m","messages":[],"__proto__":{"x":1},"constructor":1}'),
    answers: [200],
    upstream: [{ target: chatPath, body: '{"model":"m","messages":[],"__proto__":{"x":1},"constructor":1}' }],
  },
  { name: "a length beyond the limit", bytes: chatWith(sized(large), large), answers: [413] },
  {
    name: "a length far beyond the limit, and nothing sent",
    bytes: chatWith("Content-Length: 99999999999", "{"),
    answers: [413],
  },
  { name: "chunks beyond the limit", bytes: chatWith("Transfer-Encoding: chunked", inChunks(large)), answers: [413] },
  {
    name: "a body beyond the limit where nothing is rewritten",
    bytes: chatWith(sized(large), large, "/v1/embeddings"),
    answers: [[413, 400]],
  },
  ...["gzip", "GZIP", "identity, gzip", "br", "x"].map((coding) => ({
    name: `a body that says it is ${coding}`,
    bytes: chatWith(`Content-Encoding: ${coding}\r\n${length}`),
    answers: [415],
  })),
  {
    name: "GET with a body",
    bytes: `GET /v1/models/one HTTP/1.1\r\nHost: x\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    answers: [[200, 400]],
    play: aloneOrRefused,
  },
  {
    name: "bytes behind the body",
    bytes: `${chatWith(length)}garbage\r\n\r\n`,
    answers: [200, [400, 0]],
    upstream: [theChat],
  },
];

async function aloneOrRefused({ client, heard }: Stage): Promise<string | undefined> {
  client.send(`GET /v1/models/one HTTP/1.1\r\nHost: x\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`);
  const reply = await client.answer();
  if (reply.kind !== "answer" || ![200, 400].includes(reply.status)) return `found ${reply.kind}`;
  return heard.some(({ target }) => target.includes("smuggled")) ? "the body became a request" : undefined;
}

const marked = (n: number) => `GET /v1/models/${n} HTTP/1.1\r\nHost: x\r\n\r\n`;
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const pipelines: HostileCase[] = [
  {
    name: "three requests at once",
    bytes: chatWith(length).repeat(3),
    answers: [200, 200, 200],
    upstream: [theChat, theChat, theChat],
  },
  {
    name: "a good one, then a bad one",
    bytes: `${chatWith(length)}GET / HTTP/9\r\n\r\n`,
    answers: [200, [400, 505, 0]],
    upstream: [theChat],
  },
  {
    name: "a refused one, then a good one",
    bytes: chatWith(length, chatBody, "/nothing") + chatWith(length),
    answers: [404, [200, 0]],
    upstream: [theChat],
  },
  {
    name: "a body that is refused, then a good one",
    bytes: chatWith(sized("{"), "{") + chatWith(length),
    answers: [400, 200],
    upstream: [theChat],
  },
  {
    name: "two hundred requests at once",
    bytes: numbers(200).map(marked).join(""),
    answers: numbers(200).map(() => 200),
    upstream: numbers(200).map((n) => ({ target: `/v1/models/${n}` })),
  },
  {
    name: "one that closes, then another",
    bytes: chatWith(`Connection: close\r\n${length}`) + chatWith(length),
    answers: [200],
    upstream: [theChat],
  },
];

const ended = async (client: Stage["client"], what: string) =>
  (await client.end(8_000)) ? undefined : `still open: ${what}`;

/** A little now and then, until the other side has had enough. */
async function drip(client: Stage["client"], bytes: string): Promise<string | undefined> {
  const deadline = performance.now() + 8_000;
  for (let at = 0; !client.ended && performance.now() < deadline; at = (at + 1) % bytes.length) {
    client.send(bytes.charAt(at));
    await client.end(50);
  }
  return client.ended ? undefined : "still open after eight seconds of single bytes";
}

const stalling =
  (bytes: string, what: string) =>
  ({ client }: Stage) => {
    client.send(bytes);
    return ended(client, what);
  };

const dripping =
  (bytes: string, more: string) =>
  ({ client }: Stage) => {
    client.send(bytes);
    return drip(client, more);
  };

/** The answer has no end, and its client takes none of it. */
function notReading(): HostileCase {
  let cut = false;
  return {
    name: "a client that does not read",
    answers: [],
    upstream: [{ target: "/v1/models/0" }],
    answer: (_heard, socket) => {
      socket.once("close", () => {
        cut = true;
      });
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
      const block = `10000\r\n${"x".repeat(65_536)}\r\n`;
      const push = () => {
        while (!socket.destroyed && socket.write(block));
      };
      socket.on("drain", push);
      push();
    },
    play: async ({ client }) => {
      client.send(marked(0));
      client.pause();
      const deadline = performance.now() + 8_000;
      while (!cut && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
      return cut ? undefined : "the upstream still sends after eight seconds";
    },
  };
}

const pace: HostileCase[] = [
  {
    name: "half a head, then nothing",
    answers: [],
    play: stalling("GET /v1/models/one HTTP/1.1\r\nHo", "half a head"),
  },
  {
    name: "a head byte by byte",
    answers: [],
    play: dripping("GET /v1/models/one HTTP/1.1\r\nHost: x\r\nX: ", "yyyyyyyy"),
  },
  {
    name: "one field after the other",
    answers: [],
    play: dripping("GET /v1/models/one HTTP/1.1\r\nHost: x\r\n", "X: y\r\n"),
  },
  {
    name: "a second request that never gets further",
    answers: [],
    upstream: [theChat],
    play: async ({ client }) => {
      client.send(`${chatWith(length)}POST /v1`);
      await client.answer("POST");
      return await ended(client, "half a second head");
    },
  },
  ...(
    [
      ["no body behind a length", chatWith(length, "")],
      ["half a body, then nothing", chatWith(length, '{"model":')],
      ["half a chunk, then nothing", chatWith("Transfer-Encoding: chunked", "1b\r\n{")],
      ["half a chunk size, then nothing", chatWith("Transfer-Encoding: chunked", "1")],
      ["half a body where nothing is rewritten", chatWith(length, '{"model":', "/v1/embeddings")],
      ["half a body of a path that is not there", chatWith(length, "{", "/nothing")],
    ] as const
  ).map(([name, bytes]) => ({ name, answers: [], play: stalling(bytes, name) })),
  notReading(),
];

const endings: HostileCase[] = [
  { name: "a connection without a byte", bytes: "", ends: true, answers: [0] },
  { name: "half a head and the end", bytes: "GET /v1/models/one HTTP/1.1\r\nHo", ends: true, answers: [[400, 0]] },
  { name: "half a body and the end", bytes: chatWith(length, '{"model":'), ends: true, answers: [[400, 0]] },
  {
    name: "half a chunk and the end",
    bytes: chatWith("Transfer-Encoding: chunked", "1b\r\n{"),
    ends: true,
    answers: [[400, 0]],
  },
  // An end is what a client that goes away sends, too: the request is cancelled then.
  {
    name: "a whole request and the end",
    bytes: chatWith(length),
    ends: true,
    answers: [[200, 0]],
    upstream: [theChat],
  },
  {
    name: "gone in the middle of a body",
    answers: [],
    play: async ({ client }) => {
      client.send(chatWith(length, "{"));
      await client.end(30);
      client.destroy();
      return undefined;
    },
  },
];

export const bodyCases: readonly HostileCase[] = [...bodies, ...pipelines, ...pace, ...endings];
