/** `haproxy.cfg` of a fleet, for HAProxy 2.6 and newer: pure, the same bytes for the same inventory. Facts are from its configuration manual and from runs of 2.6.12. */
import { readFileSync } from "node:fs";
import type { FleetHost } from "../compose.ts";
import type { GatewaySpec } from "../inventory.ts";
import { modelList } from "./model-list.ts";
import { addressOf } from "./reach.ts";

/** Variable of the environment that names the folder with the configuration, its sockets and its state. */
export const folderVariable = "LMSTACK_GATEWAY";
/** Beside the configuration: what a process that starts takes over from the one before. */
export const files = {
  ...{ configuration: "haproxy.cfg", admin: "admin.sock", state: "servers.state" },
  /** Taken out of the configuration, so that one seal is for both. */
  program: "cut-streams.lua",
} as const;
/** Where whatever names no known model goes. */
export const everyHost = "hosts";

/**
 * Of a body that much is read before it is sent on: to find its model, and to ask another host when one fails. HAProxy copies the whole buffer for the
 * latter, however little is in it: a request of 48 KB costs 0.4 ms of a core with 1 MB, 0.06 ms with this.
 */
const bufferBytes = 163_840;
const spareBytes = 4_096;
/** Heads take their part of a buffer; no client of the endpoint sends a larger one. */
const bodyBytes = bufferBytes - spareBytes - 16_384;
/** Where most clients name the model. HAProxy looks through all of a text before it searches it: 25 µs for 48 KB. */
const beginningBytes = 1_024;

const program = readFileSync(new URL(files.program, import.meta.url), "utf8");
/** Any other HAProxy cuts a stream whose host dies; before 2.6.12 filters in Lua wrote where they were not asked to. */
const withLua = (...lines: string[]): string[] => [".if feature(LUA) && version_atleast(2.6.12)", ...lines, ".endif"];

export function renderHaproxy(gateway: GatewaySpec, hosts: readonly FleetHost[]): string {
  const models = [...new Set(hosts.flatMap(({ spec }) => spec.models.map(({ id }) => id)))].sort();
  const alike = hosts.every(({ spec }) => spec.models.length === models.length);
  const sections = [
    globalSection,
    defaults,
    // A process that is reloaded sends its table of sessions to the next one through this.
    ["peers sessions", `peer gateway "unix@\${${folderVariable}}/peer.sock"`],
    frontend(gateway, models, alike ? undefined : listing(hosts)),
    backend(everyHost, ["http-check expect status 200"], hosts.map(server)),
    ...models.map((model) => {
      const serving = hosts.filter(({ spec }) => spec.models.some(({ id }) => id === model));
      // In a rollout a host may be well and not have it yet, so what counts is that it is loaded, not that all is.
      const check = `http-check expect string ${quoted(`"${model}":"loaded"`)}`;
      const queue = (host: FleetHost) => `${server(host)} maxconn ${waiting(host, model)}`;
      return backend(backendOf(model), [check, ...affinity], serving.map(queue));
    }),
    metrics(gateway),
  ];
  const text = sections.map(([name, ...lines]) => [name, ...lines.map((line) => `  ${line}`)].join("\n"));
  const packed = program.replaceAll(/^(?=.*\n)/gm, "#lua ");
  return `# Written by lmstack from the fleet's inventory; edits are lost.\n${text.join("\n\n")}\n\n${packed}`;
}

export const backendOf = (model: string): string => `model:${model}`;

const quoted = (text: string): string => `"${text.replaceAll(/["\\$]/g, "\\$&")}"`;

const globalSection = [
  "global",
  "maxconn 4096",
  `tune.bufsize ${bufferBytes}`,
  `tune.maxrewrite ${spareBytes}`,
  "ssl-default-bind-options ssl-min-ver TLSv1.2",
  `stats socket "\${${folderVariable}}/${files.admin}" mode 600 level admin expose-fd listeners`,
  `server-state-file "\${${folderVariable}}/${files.state}"`,
  ...withLua(`lua-load-per-thread "\${${folderVariable}}/${files.program}"`),
  "localpeer gateway",
  "log stdout format raw daemon info",
];

/** One body that clients of both dialects can read: each finds the fields of its own. */
const errorBody = (type: string, code: string, message: string): string =>
  `'${JSON.stringify({ type: "error", error: { type, message, param: null, code } })}'`;

const errorLine = (status: number, type: string, code: string, message: string): string =>
  `http-error status ${status} content-type application/json string ${errorBody(type, code, message)}`;

const again = "hdr Retry-After 2";

const defaults = [
  "defaults",
  "mode http",
  "log global",
  "option httplog",
  "option dontlognull",
  // Whoever goes away while its prompt is read, or while it waits, keeps neither a GPU busy nor a place.
  "option abortonclose",
  // By this a host on the same machine knows strangers from people who sit there.
  "option forwardfor",
  "http-reuse always",
  // Without it the system waits 200 ms for a full packet before it sends on what there is of an answer: tokens came in bursts of ten.
  "option http-no-delay",
  // Only before an answer has begun, and only what fits the buffer. A 503 is a host that ends, is full, or has lost its model.
  "retries 3",
  "retry-on conn-failure empty-response 503",
  "option redispatch 1",
  "timeout connect 1s",
  "timeout check 2s",
  "timeout queue 600s",
  "timeout http-request 120s",
  "timeout http-keep-alive 300s",
  // The longest that there is: a large prompt is silent for long, and an answer takes as long as it takes.
  "timeout client 24d",
  "timeout server 24d",
  // Machines that are gone without a word are found out by the kernel instead.
  ...["clitcpka", "srvtcpka"].flatMap((who) => [`option ${who}`, `${who}-idle 10s`, `${who}-intvl 3s`, `${who}-cnt 3`]),
  "load-server-state-from-file global",
  `${errorLine(503, "overloaded_error", "no_host", "No host that serves this takes requests now: each is down, drained or busy. Ask again.")} ${again}`,
  `${errorLine(502, "api_error", "host_failed", "The host that had this request failed before it answered. Ask again.")} ${again}`,
];

/** @param list rules for the list of models, where hosts are not alike */
function frontend(gateway: GatewaySpec, models: readonly string[], list: readonly string[] | undefined): string[] {
  const tls = gateway.tls === undefined ? "" : ` ssl crt ${quoted(gateway.tls)} alpn h2,http/1.1`;
  const unserved = models.map(
    (model) => `http-request return status 503 if { path /readyz } { nbsrv(${backendOf(model)}) lt 1 }`,
  );
  const unread = errorBody(
    "invalid_request_error",
    "model_not_found_in_body",
    `The gateway reads the first ${bodyBytes} bytes of a body, and "model" is not among them. Put it first, or send it as header x-lmstack-model.`,
  );
  return [
    "frontend clients",
    `bind ${bound(gateway.bind, gateway.port)}${tls}`,
    "http-request return status 200 if { path /healthz }",
    ...unserved,
    "http-request return status 200 if { path /readyz }",
    // These speak of one host, and are for those who run it.
    "http-request return status 404 if { path / /metrics } || { path_beg /-/ }",
    "option http-buffer-request",
    ...withLua(
      "filter lua.cut-streams",
      "http-request set-var(txn.path) path",
      // To an answer of known length nothing can be added.
      "http-response lua.guard if { res.hdr(content-type) -m beg text/event-stream } { res.hdr(transfer-encoding) -m found }",
    ),
    "http-request set-var(txn.asked) req.hdr(x-lmstack-model)",
    ...[`bytes(0,${beginningBytes}),`, ""].map(
      (part) =>
        `http-request set-var(txn.asked) "req.body,${part}json_query('\\$.model')" if METH_POST !{ var(txn.asked) -m found }`,
    ),
    "http-request set-var(txn.asked) \"path,regsub('^/(v1|api/v0)/models/','')\" if { path_beg /v1/models/ /api/v0/models/ }",
    "http-request set-var(txn.model) \"var(txn.asked),regsub(':(no-)?think\\$','')\"",
    "http-request set-var(txn.session) req.hdr(session-id)",
    "http-request set-var(txn.session) \"req.body,json_query('\\$.prompt_cache_key')\" if !{ var(txn.session) -m found }",
    ...(list === undefined
      ? []
      : [
          ...list,
          `http-request return status 400 content-type application/json string ${unread} if METH_POST !{ var(txn.asked) -m found } { req.body_len ge ${bodyBytes} }`,
        ]),
    ...models.map((model) => `use_backend ${backendOf(model)} if { var(txn.model) -m str ${model} }`),
    `default_backend ${everyHost}`,
  ];
}

/** One host lists its own models. It is asked all the same, because it knows the keys; what it answers who may ask is replaced. */
function listing(hosts: readonly FleetHost[]): string[] {
  // No apostrophe, which would end HAProxy's quotes.
  const list = modelList(hosts.map(({ spec }) => spec))?.replaceAll("'", "\\u0027");
  if (list === undefined || Buffer.byteLength(list) > bodyBytes) return [];
  return [
    "http-request set-var(txn.lists) bool(true) if METH_GET { path /v1/models }",
    `http-response return status 200 content-type application/json string '${list}' if { var(txn.lists) -m bool } { status 200 }`,
  ];
}

function backend(name: string, rules: readonly string[], servers: readonly string[]): string[] {
  return [
    `backend ${name}`,
    "balance hash var(txn.session)",
    // Where it has no memory, such as after a reboot, a session finds its host again; a new host takes over few of them.
    "hash-type consistent sdbm avalanche",
    "option httpchk GET /readyz",
    ...rules,
    // The first request that cannot connect takes a host out; it is back as soon as it answers, and gets its share little by little.
    "default-server check inter 1s fastinter 500ms rise 1 fall 3 slowstart 30s observe layer4 error-limit 1 on-error mark-down init-addr last,libc,none tcp-ut 15s",
    ...servers,
  ];
}

const affinity = [
  // A new session avoids a host that is busier than the others; from its first turn on it stays where its prompt is cached.
  "hash-balance-factor 150",
  "stick-table type string len 128 size 100k expire 1h peers sessions",
  "stick on var(txn.session)",
];

function server({ name, spec }: FleetHost): string {
  const { host, port, tls } = addressOf(spec);
  const verified = tls ? ` ssl verify required ca-file @system-ca sni str(${host}) check-sni ${host}` : "";
  return `server ${name} ${bound(host, port)}${verified}`;
}

/** The host's own queue is fair between keys, so it gets some to choose from; what waits here survives the host. */
const waiting = ({ spec }: FleetHost, model: string): number =>
  2 * (spec.models.find(({ id }) => id === model)?.load.parallel ?? 1);

const metrics = ({ metrics: { bind, port } }: GatewaySpec): string[] => [
  "frontend metrics",
  `bind ${bound(bind, port)}`,
  "http-request use-service prometheus-exporter if { path /metrics }",
  "http-request return status 404",
];

export const bound = (host: string, port: number): string =>
  `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
