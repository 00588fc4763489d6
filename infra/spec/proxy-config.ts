/** The proxy's configuration file: written by `hostctl converge proxy-files`, read by `proxy/main.ts`. Names are fixed by the design document. */
// The namespace import lets the bundler drop the parts of zod that nothing here uses: the proxy starts faster.
import * as z from "zod";

const thinking = z.enum(["off", "on", "client"]);

const modelPolicy = z.strictObject({
  thinking: thinking.default("off"),
  slots: z.int().min(1).optional(),
  contextLength: z.int().min(1).optional(),
});

/** `sha256` is the hex digest of the key; the key itself is nowhere. */
const key = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Names of models; `*` is all of them. */
  models: z.array(z.string()).min(1).default(["*"]),
  requestsPerMinute: z.number().positive().optional(),
  /** The first moment at which it is refused. */
  expires: z.iso.datetime({ offset: true }).optional(),
  /** May hold and resume models and read reports below `/-/`. */
  admin: z.boolean().default(false),
});

/** The file that `keysFile` names: more keys, which may change while the proxy runs. */
export const keysFileSchema = z.strictObject({ keys: z.array(key) });

/** The file beside the configuration, which changes while the proxy runs: from the client's name to LM Studio's. */
export const instancesSchema = z.record(z.string(), z.string());

const bareAddress = (text: string): boolean => {
  const url = URL.parse(text);
  return url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
};

/** Codex's `web_search`, served by the proxy itself. */
export const searchSchema = z.strictObject({
  searxng: z
    .url({ protocol: /^https?$/, error: "an address with http or https" })
    .refine(bareAddress, "an address without user, query and fragment")
    .describe("Where SearXNG answers, as seen from the host; its settings must list json among search.formats"),
  perAnswer: z.int().min(1).max(50).default(8).describe("Searches that one answer may make"),
  seconds: z.number().positive().max(120).default(15).describe("What one search may take"),
});

export const proxyConfigSchema = z
  .strictObject({
    listen: z
      .strictObject({ host: z.string().default("127.0.0.1"), port: z.int().min(0).max(65535).default(8080) })
      .prefault({}),
    upstream: z.url({ protocol: /^http$/ }),
    /** Keyed by the name that clients use; `*` is every other model. */
    models: z.record(z.string(), modelPolicy).default({ "*": { thinking: "off" } }),
    /** LM Studio's name of the instance that answers for a model, where it is not the model's own; the file `instances.json` beside says more. */
    instances: instancesSchema.default({}),
    noThink: z.enum(["effort", "prefill", "both", "auto"]).default("auto"),
    keys: z.array(key).default([]),
    /** Beside the configuration when it is relative. */
    keysFile: z.string().min(1).optional(),
    allowAnonymous: z.boolean().default(false),
    limits: z
      .strictObject({
        bodyBytes: z.int().min(1024).default(33_554_432),
        /** Requests that may wait for one model. */
        queue: z.int().min(0).default(64),
        queueSeconds: z.number().min(0).default(600),
        /** All header fields of a request together. */
        headerBytes: z.int().min(1024).max(1_048_576).default(32_768),
        /** From a connection's first byte to the end of the request's head. */
        headerSeconds: z.number().positive().default(15),
        /** Silence in the middle of a request's body. */
        bodySeconds: z.number().positive().default(30),
        /** A client that takes nothing of an answer that is there. */
        readerSeconds: z.number().positive().default(300),
        connections: z.int().min(1).default(4096),
        /** Wrong keys of one address in a minute, after which its further ones wait. */
        wrongKeys: z.int().min(1).default(10),
      })
      .prefault({}),
    /** Origins of web pages that may call; none means that no browser page elsewhere can. `*` is every origin. */
    cors: z.array(z.string().min(1)).default([]),
    /** How many failed requests are kept, redacted, for `GET /-/captures`. */
    captures: z.int().min(0).max(1000).default(0),
    heartbeatSeconds: z.number().min(0).default(10),
    drainSeconds: z.number().min(0).default(600),
    codexTools: z.enum(["translate", "pass"]).default("translate"),
    search: searchSchema.optional(),
  })
  .superRefine((config, context) => {
    const loopback = ["127.0.0.1", "::1", "localhost"].includes(config.listen.host);
    if (!loopback && config.keys.length === 0 && config.keysFile === undefined && !config.allowAnonymous) {
      context.addIssue({
        code: "custom",
        path: ["listen", "host"],
        message: `${config.listen.host} is reachable from outside, so either keys or allowAnonymous: true is needed`,
      });
    }
  });

export type ProxyKey = z.output<typeof key>;
export type ProxyConfig = z.output<typeof proxyConfigSchema>;
export type ProxyConfigInput = z.input<typeof proxyConfigSchema>;
