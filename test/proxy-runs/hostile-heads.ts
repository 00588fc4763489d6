/** Heads that are none, too large, or mean something else than they seem to. */
import { chatBody, chatPath, chatWith, type HostileCase, inChunks, sized, smuggled, theChat } from "./hostile-case.ts";

const length = sized(chatBody);
const get = (target: string, lines = "Host: x\r\n") => `GET ${target} HTTP/1.1\r\n${lines}\r\n`;
const models = "/v1/models/one";
const theModel = { target: models, method: "GET", body: "" };

const lines: HostileCase[] = (
  [
    ["bare line feeds", get(models).replaceAll("\r\n", "\n")],
    ["bare carriage returns", get(models).replaceAll("\r\n", "\r")],
    ["one bare line feed", get(models, "Host: x\nX: y\r\n")],
    ["a folded field", get(models, "Host: x\r\nX: a\r\n b\r\n")],
    ["a folded first field", get(models, " X: a\r\nHost: x\r\n")],
    ["two hosts", get(models, "Host: x\r\nHost: y\r\n")],
    ["no host", get(models, "")],
    ["a space before the colon", get(models, "Host: x\r\nX : y\r\n")],
    ["a NUL in a value", get(models, "Host: x\r\nX: a\0b\r\n")],
    ["a NUL in a name", get(models, "Host: x\r\nX\0Y: b\r\n")],
    ["a NUL in the path", get("/v1/models/a\0b")],
    ["a field without a colon", get(models, "Host: x\r\nnonsense\r\n")],
    ["a field without a name", get(models, "Host: x\r\n: y\r\n")],
    ["a tab in the request line", "GET\t/v1/models/one\tHTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a space in the path", "GET /v1/models/one two HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a method in small letters", "get /v1/models/one HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a method of nobody", "FETCH /v1/models/one HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["HTTP/0.9", "GET /v1/models/one\r\n\r\n"],
    ["HTTP/2 as a version", "GET /v1/models/one HTTP/2.0\r\nHost: x\r\n\r\n"],
    ["HTTP/1.9", "GET /v1/models/one HTTP/1.9\r\nHost: x\r\n\r\n"],
    ["HTTP/11", "GET /v1/models/one HTTP/11\r\nHost: x\r\n\r\n"],
    ["a version in small letters", "GET /v1/models/one http/1.1\r\nHost: x\r\n\r\n"],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
    ["a TLS hello", `\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03${"\xa5".repeat(508)}`],
    ["bytes of no protocol", "\0\x01\x02\xff\xfe".repeat(800)],
  ] as const
).map(([name, bytes]) => ({ name, bytes, answers: [[400, 431, 501, 505, 0]] }));

const large: HostileCase[] = [
  { name: "a field of 1 MB", bytes: get(models, `Host: x\r\nX: ${"y".repeat(1_048_576)}\r\n`), answers: [431] },
  { name: "a field of 10 MB", bytes: get(models, `Host: x\r\nX: ${"y".repeat(10_485_760)}\r\n`), answers: [[431, 0]] },
  { name: "a name of 1 MB", bytes: get(models, `Host: x\r\n${"y".repeat(1_048_576)}: 1\r\n`), answers: [431] },
  { name: "a hundred thousand fields", bytes: get(models, `Host: x\r\n${"X: y\r\n".repeat(100_000)}`), answers: [431] },
  { name: "a query of 1 MB", bytes: get(`${models}?${"q".repeat(1_048_576)}`), answers: [[414, 431]] },
  {
    name: "a thousand short fields",
    bytes: get(models, `Host: x\r\n${"X: y\r\n".repeat(1_000)}`),
    answers: [200],
    upstream: [theModel],
  },
  {
    name: "a query of 8 KB",
    bytes: get(`${models}?${"q".repeat(8_000)}`),
    answers: [200],
    upstream: [{ target: `${models}?${"q".repeat(8_000)}` }],
  },
  { name: "empty lines in front", bytes: `\r\n\r\n${get(models)}`, answers: [200], upstream: [theModel] },
];

const named = "Connection: close, ";
const fields: HostileCase[] = [
  ...["content-length", "host", "content-type, host", "x-lmstack-request-id", "content-length, transfer-encoding"].map(
    (name) => ({
      name: `Connection names ${name}`,
      bytes: chatWith(`${named}${name}\r\n${length}`),
      answers: [200],
      upstream: [theChat],
    }),
  ),
  {
    name: "Connection names the coding of the body",
    bytes: chatWith(`${named}transfer-encoding`.concat("\r\nTransfer-Encoding: chunked"), inChunks(chatBody)),
    answers: [200],
    upstream: [theChat],
  },
  {
    name: "fields of the connection and of proxies",
    bytes: chatWith(
      `Keep-Alive: timeout=999999\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nProxy-Authorization: x\r\n${length}`,
    ),
    answers: [200],
    upstream: [theChat],
  },
  {
    name: "an upgrade to h2c",
    bytes: chatWith(
      `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n${length}`,
    ),
    answers: [[200, 400, 426]],
    play: async ({ client, heard }) => {
      client.send(
        chatWith(
          `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n${length}`,
        ),
      );
      const reply = await client.answer("POST");
      if (reply.kind !== "answer" || ![200, 400, 426].includes(reply.status))
        return `found ${JSON.stringify(reply.kind)}`;
      return heard.every(({ fields: sent }) => !sent.some(([name]) => name === "upgrade" || name === "http2-settings"))
        ? undefined
        : "the upgrade was passed on";
    },
  },
  ...["websocket", "WebSocket", "h2c, websocket"].map((protocol) => ({
    name: `an upgrade to ${protocol}`,
    bytes: get(
      "/llm",
      `Host: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n`,
    ),
    answers: [[400, 403, 404, 426]],
  })),
  {
    name: "an upgrade with bytes behind it",
    bytes: get("/v1/models/one", "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n") + smuggled,
    answers: [[400, 426]],
  },
  ...["x/../y", "a,b", "x y", "user@x", "x:99999999", "[::1", "", "x\\y", "127.0.0.1:1@y"].map((host) => ({
    name: `a host ${JSON.stringify(host)}`,
    bytes: get(models, `Host: ${host}\r\n`),
    answers: [],
    play: async ({
      client,
      heard,
    }: {
      client: import("./client.ts").WireClient;
      heard: readonly import("./adversary.ts").Heard[];
    }) => {
      client.send(get(models, `Host: ${host}\r\n`));
      const reply = await client.answer();
      if (reply.kind !== "answer" || ![200, 400].includes(reply.status)) return `found ${reply.kind}`;
      const names = heard.flatMap(({ fields: sent }) =>
        sent.filter(([name]) => name === "host").map(([, value]) => value),
      );
      return names.every((name) => /^127\.0\.0\.1:[0-9]+$/.test(name)) ? undefined : `the host went upstream: ${names}`;
    },
  })),
];

const expectations: HostileCase[] = [
  {
    name: "expects 100-continue",
    answers: [],
    upstream: [theChat],
    play: async ({ client }) => {
      client.send(chatWith(`Expect: 100-continue\r\n${length}`, ""));
      const early = await client.answer("POST", 300);
      if (early.kind !== "hang") return `answered without a body: ${early.kind}`;
      client.send(chatBody);
      const reply = await client.answer("POST");
      return reply.kind === "answer" && reply.status === 200 ? undefined : `found ${reply.kind}`;
    },
  },
  {
    name: "expects 100-continue and does not wait",
    bytes: chatWith(`Expect: 100-continue\r\n${length}`),
    answers: [200],
    upstream: [theChat],
  },
  {
    name: "expects 100-continue with capitals",
    bytes: chatWith(`Expect: 100-Continue\r\n${length}`),
    answers: [200],
    upstream: [theChat],
  },
  {
    name: "expects 100-continue of a path that is not there",
    answers: [],
    play: async ({ client }) => {
      client.send(chatWith(`Expect: 100-continue\r\n${length}`, "", "/nothing"));
      const reply = await client.answer("POST");
      if (reply.kind !== "answer" || reply.status !== 404) return `found ${reply.kind}`;
      return reply.informational.length === 0 ? undefined : "the body was asked for all the same";
    },
  },
  { name: "expects something else", bytes: chatWith(`Expect: 200-ok\r\n${length}`), answers: [[400, 417]] },
  {
    name: "expects two things",
    bytes: chatWith(`Expect: 100-continue, x\r\n${length}`),
    answers: [[200, 400, 417]],
    upstream: [theChat],
  },
];

const methods: HostileCase[] = [
  ...["TRACE", "PROPFIND", "M-SEARCH", "LINK", "PURGE"].map((method) => ({
    name: `${method} of an endpoint`,
    bytes: `${method} ${chatPath} HTTP/1.1\r\nHost: x\r\n\r\n`,
    answers: [[400, 404, 405, 501]],
  })),
  {
    name: "TRACE with a key",
    bytes: `TRACE /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n`,
    answers: [[400, 404, 405, 501]],
  },
  { name: "CONNECT", bytes: "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n", answers: [[400, 404, 405, 501, 0]] },
  {
    name: "CONNECT of a path",
    bytes: `CONNECT ${models} HTTP/1.1\r\nHost: x\r\n\r\n${smuggled}`,
    answers: [[400, 404, 405, 501, 0]],
  },
];

const versions: HostileCase[] = [
  { name: "HTTP/1.0", bytes: `GET ${models} HTTP/1.0\r\nHost: x\r\n\r\n`, answers: [200], upstream: [theModel] },
  { name: "HTTP/1.0 without a host", bytes: `GET ${models} HTTP/1.0\r\n\r\n`, answers: [200], upstream: [theModel] },
  {
    name: "HTTP/1.0 that stays",
    bytes: `GET ${models} HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n`.repeat(2),
    answers: [200, 200],
    upstream: [theModel, theModel],
  },
  {
    name: "HTTP/1.0 with chunks",
    bytes: chatWith("Transfer-Encoding: chunked", inChunks(chatBody) + smuggled).replace("HTTP/1.1", "HTTP/1.0"),
    // RFC 9112 section 6.1: refused, or served once, with the connection closed behind it.
    answers: [[200, 400, 501, 505]],
    upstream: [theChat],
  },
];

export const headCases: readonly HostileCase[] = [
  ...lines,
  ...large,
  ...fields,
  ...expectations,
  ...methods,
  ...versions,
];
