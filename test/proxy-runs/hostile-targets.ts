/** Paths that try to reach what is closed, and values that try to become something else in an answer. */
import { chatWith, type HostileCase, sized } from "./hostile-case.ts";

const load = '{"model":"x"}';
const closed = [[400, 403, 404, 405, 426]];
const post = (target: string) =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${sized(load)}\r\n\r\n${load}`;

const disguised = [
  "/api/v1/models/load",
  "/api/v1/models/load/",
  "/api/v1/models/load?a=b",
  "/api/v1/models/load;a=b",
  "/api/v1/models/load#x",
  "/api/v1/models/load%20",
  "/api/v1/models/load%00",
  "/api/v1/models/load%3f",
  "/api/v1/models%2fload",
  "/api/v1/models%5cload",
  "/api/v1/models\\load",
  "\\api\\v1\\models\\load",
  "/api/v1/models/%6coad",
  "/api/v1/models/LOAD",
  "/API/v1/models/load",
  "//api/v1/models/load",
  "/api//v1/models/load",
  "/./api/v1/models/load",
  "/api/v1/./models/load",
  "/v1/../api/v1/models/load",
  "/v1/models/../../api/v1/models/load",
  "/v1/models/%2e%2e/%2e%2e/api/v1/models/load",
  "/v1/models/..%2f..%2fapi/v1/models/load",
  "/v1/models/..;/..;/api/v1/models/load",
  "/v1/models/x/../../../api/v1/models/load",
  "/v1/chat/completions/../../../api/v1/models/load",
  "/v1/chat/completions/..%2f..%2f..%2fapi/v1/models/load",
  "/v1/chat/completions%2f..",
  "/api/v1/models/unload",
  "/api/v1/models/download",
  "/api/v1/chat/../models/load",
  "http://x/api/v1/models/load",
  "http://x//api/v1/models/load",
  "http:///api/v1/models/load",
  "http://x/v1/models/../../api/v1/models/load",
  "http://user:secret@x/api/v1/models/load",
  "https://x/api/v1/models/load",
  "file:///api/v1/models/load",
  "api/v1/models/load",
  "x:8081/api/v1/models/load",
  "*",
  "?",
  "/v1/chat/completions/",
  "/v1/chat/completions;x",
  "/v1//chat/completions",
  "/%761/chat/completions",
];

const paths: HostileCase[] = [
  ...disguised.map((target) => ({ name: `POST ${target}`, bytes: post(target), answers: closed })),
  ...[
    "/v1/models/../../api/v1/models/download/status/1",
    "/v1/models/..%2f..%2fapi%2fv1%2fmodels%2fdownload",
    "/v1/models/%2e%2e/%2e%2e/api/v0/models",
    "/api/v0/models/../../../system",
    "/v1/models/..\\..\\system",
    "http://x/v1/models/%2e%2e/secret",
    "/api/v1/models/download/status/1",
    "/system",
    "/llm",
  ].map((target) => ({ name: `GET ${target}`, bytes: `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`, answers: closed })),
  {
    name: "a whole URL of another host",
    bytes: "GET http://evil.example:9/v1/models/one?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
    answers: [200],
    upstream: [{ target: "/v1/models/one?a=b" }],
  },
  ...["POST", "DELETE", "PUT"].map((method) => ({
    name: `${method} of a model's entry`,
    bytes: `${method} /v1/models/one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`,
    answers: closed,
  })),
  ...["/-/usage", "/-/captures"].map((path) => ({
    name: `GET ${path} without a key`,
    bytes: `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`,
    answers: [[401, 403, 404]],
    keyed: true as const,
  })),
  ...["/-/models/m/hold?seconds=9", "/-/models/m/resume", "/-/drain", "/-/handover", "//-/drain", "/%2d/drain"].map(
    (path) => ({
      name: `POST ${path} without a key`,
      bytes: `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`,
      answers: [[401, 403, 404]],
      keyed: true as const,
    }),
  ),
];

/** Every answer is read strictly, so that a line which came out of a value would be seen; `x-evil` must never be a field. */
const injections: HostileCase[] = [
  ...[
    "m\r\nx-evil: 1",
    "m\nx-evil: 1",
    "m\rx-evil: 1",
    "m\0",
    "m\u2028\u00e9\u6f22",
    "m\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ":think",
    "m\r\nx-evil: 1:no-think",
    "__proto__",
    "constructor",
  ].map((model) => {
    const body = JSON.stringify({ model, messages: [] });
    return {
      name: `a model ${JSON.stringify(model)} that the key may not use`,
      bytes: chatWith(`Authorization: Bearer key-of-one\r\n${sized(body)}`, Buffer.from(body).toString("latin1")),
      answers: [403],
      keyed: true as const,
    };
  }),
  ...["x\r\nx-evil: 1", "\u0000\u0001\u001f", "\u00fc\u6f22\ud83d\ude00", "x".repeat(20_000)].map((name) => {
    const body = JSON.stringify({ model: "m", input: "x", tools: [{ type: "custom", name }, { type: name }] });
    return {
      name: `a tool ${JSON.stringify(name.slice(0, 20))} that is left out or renamed`,
      bytes: chatWith(sized(body), Buffer.from(body).toString("latin1"), "/v1/responses"),
      answers: [[200, 400]],
      upstream: [{ target: "/v1/responses" }],
    };
  }),
  {
    name: "line ends in the query",
    bytes: "GET /v1/nothing%0d%0ax-evil:%201?a=%0d%0ax-evil:%201 HTTP/1.1\r\nHost: x\r\n\r\n",
    answers: [404],
  },
  ...["on\u00fc", "sometimes", "on, off", "\x80"].map((value) => ({
    name: `a thinking header ${JSON.stringify(value)}`,
    bytes: chatWith(`X-LMStack-Thinking: ${value}\r\nContent-Length: 27`),
    answers: [[200, 400]],
    play: async ({ client }: { client: import("./client.ts").WireClient }) => {
      client.send(chatWith(`X-LMStack-Thinking: ${value}\r\nContent-Length: 27`));
      const reply = await client.answer("POST");
      return reply.kind === "answer" && [200, 400].includes(reply.status)
        ? undefined
        : `found ${JSON.stringify(reply)}`;
    },
  })),
];

const right = "Authorization: Bearer key-of-all";
const chat = '{"model":"m","messages":[]}';
const keyed = (name: string, lines: string, answers: HostileCase["answers"], served = false): HostileCase => ({
  name,
  bytes: chatWith(`${lines}\r\n${sized(chat)}`),
  answers,
  keyed: true,
  ...(served ? { upstream: [{ target: "/v1/chat/completions", body: chat }] } : {}),
});

const keys: HostileCase[] = [
  keyed("a right key", right, [200], true),
  keyed("a right key that Connection names", `${right}\r\nConnection: authorization, x-api-key`, [200], true),
  keyed(
    "no key, from a forwarded loopback",
    "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1",
    [401],
  ),
  keyed("no key, another path in a field", "X-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz", [401]),
  keyed("no key, a loopback host", "X-Forwarded-Host: localhost", [401]),
  keyed("a wrong key, then a right one", `Authorization: Bearer wrong\r\n${right}`, [[400, 401]]),
  keyed("two keys in one field", "Authorization: Bearer wrong, Bearer key-of-all", [[400, 401]]),
  keyed("a key with a NUL", "Authorization: Bearer key-of-all\0", [[400, 401]]),
  keyed("a key in capitals", "Authorization: Bearer KEY-OF-ALL", [401]),
  keyed("a key of 10 KB", `Authorization: Bearer ${"k".repeat(10_000)}`, [401]),
  keyed("a key in an odd scheme", "Authorization: BearerX key-of-all", [401]),
  keyed("two x-api-keys", "X-Api-Key: key-of-all\r\nX-Api-Key: wrong", [[400, 401]]),
  {
    name: "a key in the query",
    bytes: chatWith(sized(chat), chat, "/v1/chat/completions?key=key-of-all&api_key=key-of-all"),
    answers: [401],
    keyed: true,
  },
  {
    name: "a model that is named twice",
    bytes: (() => {
      const body = '{"model":"one","model":"m","messages":[]}';
      return chatWith(`Authorization: Bearer key-of-one\r\n${sized(body)}`, body);
    })(),
    answers: [[400, 403]],
    keyed: true,
  },
  {
    name: "a model that is named in escapes",
    bytes: (() => {
      const body = '{"model":"one","\\u006dodel":"m","messages":[]}';
      return chatWith(`Authorization: Bearer key-of-one\r\n${sized(body)}`, body);
    })(),
    answers: [[400, 403]],
    keyed: true,
  },
];

export const targetCases: readonly HostileCase[] = [...paths, ...injections, ...keys];
