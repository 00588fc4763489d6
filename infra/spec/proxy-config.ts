/** The proxy's configuration file: written by `hostctl converge proxy-files`, read by `proxy/main.ts`. Names are fixed by the design document. */
// The namespace import lets the bundler drop the parts of zod that nothing here uses: the proxy starts faster.
import * as z from "zod";

const thinking = z.enum(["off", "on", "client"]);

const modelPolicy = z.strictObject({
  thinking: thinking.default("off"),
  slots: z.int().min(1).optional(),
  contextLength: z.int().min(1).optional(),
});

export const proxyConfigSchema = z
  .strictObject({
    listen: z
      .strictObject({ host: z.string().default("127.0.0.1"), port: z.int().min(0).max(65535).default(8080) })
      .prefault({}),
    upstream: z.url({ protocol: /^http$/ }),
    /** Keyed by the name that clients use; `*` is every other model. */
    models: z.record(z.string(), modelPolicy).default({ "*": { thinking: "off" } }),
    noThink: z.enum(["effort", "prefill", "both", "auto"]).default("auto"),
    /** `sha256` is the hex digest of the key. */
    keys: z
      .array(
        z.strictObject({
          id: z.string().min(1),
          sha256: z.string().regex(/^[0-9a-f]{64}$/),
          models: z.array(z.string()).default(["*"]),
        }),
      )
      .default([]),
    allowAnonymous: z.boolean().default(false),
    limits: z
      .strictObject({
        bodyBytes: z.int().min(1024).default(33_554_432),
        queue: z.int().min(0).default(64),
        queueSeconds: z.number().min(0).default(600),
      })
      .prefault({}),
    heartbeatSeconds: z.number().min(0).default(10),
    drainSeconds: z.number().min(0).default(600),
    codexTools: z.enum(["translate", "pass"]).default("translate"),
  })
  .superRefine((config, context) => {
    const loopback = ["127.0.0.1", "::1", "localhost"].includes(config.listen.host);
    if (!loopback && config.keys.length === 0 && !config.allowAnonymous) {
      context.addIssue({
        code: "custom",
        path: ["listen", "host"],
        message: `${config.listen.host} is reachable from outside, so either keys or allowAnonymous: true is needed`,
      });
    }
  });

export type ProxyConfig = z.output<typeof proxyConfigSchema>;
export type ProxyConfigInput = z.input<typeof proxyConfigSchema>;
