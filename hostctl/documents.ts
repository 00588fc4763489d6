/** The documents on stdin, checked again here: an older or newer operator's machine may have sent them. */
import { isAbsolute } from "node:path";
import * as z from "zod";
import { kvCacheTypes } from "../infra/spec/kv-cache.ts";
import { keysFileSchema } from "../infra/spec/proxy-config.ts";
import { HostFailure } from "./failure.ts";
import { pieceListSchema } from "./transfer/pieces.ts";

const become = z.enum(["sudo", "none"]);
const port = z.int().min(1).max(65_535);
const hex = (length: number) =>
  z.string().regex(new RegExp(`^[0-9a-fA-F]{${length}}$`), `must be ${length} hex digits`);
const absolute = z.string().refine(isAbsolute, "must be an absolute path");
/** One folder name: no slash, no leading dot. */
const folderName = z.string().regex(/^[^/\\.\0][^/\\\0]*$/, "must be one folder name");
const id = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => !/[\0\n]/.test(text), "must not hold line ends");
const envelope = { stack: z.string().min(1), token: z.string(), become };

const lmstudio = z.object({
  ...envelope,
  platform: z.enum(["linux-cuda", "linux-cpu", "macos-metal"]),
  version: folderName,
  url: z.url({ protocol: /^(https?|file)$/ }),
  mirrors: z.array(z.url({ protocol: /^https?$/ })).exactOptional(),
  sha512: hex(128).exactOptional(),
  engine: z.object({ name: z.string().min(1), version: z.string().min(1) }).exactOptional(),
  backendPort: port,
  models: z.array(id).exactOptional(),
  mounts: z.array(absolute).exactOptional(),
});

const address = z.url({ protocol: /^https?$/ });
const modelFile = z
  .object({
    ...envelope,
    id,
    source: z.union([
      z.object({ path: absolute }),
      z.object({
        url: address,
        mirrors: z.array(address).exactOptional(),
        hub: z.literal(true).exactOptional(),
        bytesPerSecond: z.int().min(1).exactOptional(),
      }),
      z.object({
        peers: z.array(address),
        file: folderName,
        bytesPerSecond: z.int().min(1).exactOptional(),
      }),
    ]),
    sha256: z.union([hex(64), z.array(hex(64)).min(1)]).exactOptional(),
    credential: z.string().min(1).exactOptional(),
  })
  .refine(
    (file) => "path" in file.source || ("url" in file.source && file.source.hub === true) || file.sha256 !== undefined,
    {
      path: ["sha256"],
      message: "is needed for a source.url and for peers",
    },
  );

const model = modelFile.safeExtend({
  import: z.enum(["symlink", "hard-link", "copy", "move"]),
  publisher: folderName,
  repo: folderName,
  load: z.object({
    gpu: z.union([z.enum(["max", "off"]), z.number().min(0).max(1)]),
    contextLength: z.int().min(1),
    parallel: z.int().min(1),
    flashAttention: z.boolean().exactOptional(),
    kvCacheType: z.enum(kvCacheTypes).exactOptional(),
  }),
  order: z.int(),
});

const image = z.object({
  ...envelope,
  reference: z
    .string()
    .regex(/@sha256:[0-9a-f]{64}$/)
    .exactOptional(),
  contentHash: z.string().min(12),
});

const thinking = z.enum(["off", "on", "client"]);

export const schemas = {
  lmstudio,
  modelFile,
  model,
  proxyFiles: z.object({
    ...envelope,
    config: z.looseObject({ listen: z.looseObject({ port: z.int() }) }),
    keys: keysFileSchema.shape.keys.exactOptional(),
    runtime: z.enum(["docker", "native"]),
  }),
  proxyImage: image,
  proxyGate: z.object({
    ...envelope,
    containerId: z.string().regex(/^[0-9a-f]{12,64}$/),
    healthySeconds: z.number().min(1).max(3600),
  }),
  prove: z.object({
    ...envelope,
    models: z.array(z.object({ id, thinking, contextLength: z.int().min(1).exactOptional() })),
    port,
  }),
  observe: z.object({
    stack: z.string().min(1),
    become,
    backendPort: port,
    proxyPort: port,
    models: z.array(model),
    lmstudio,
  }),
  doctor: z.object({
    stack: z.string().min(1),
    become,
    platform: lmstudio.shape.platform,
    listen: z.object({ host: z.string().min(1), port }),
    modelPaths: z.array(absolute),
  }),
  share: z.object({
    host: z.string().min(1),
    port: z.int().min(0).max(65_535),
    ports: z.int().min(1).max(100).exactOptional(),
    keySha256: hex(64),
    only: z.array(hex(64)).exactOptional(),
    bytesPerSecond: z.int().min(1).exactOptional(),
  }),
  spread: z.union([
    z.object({ list: hex(64) }),
    z.object({
      sha256: hex(64),
      what: z.string(),
      peers: z.array(address).min(1),
      spares: z.array(address).exactOptional(),
      pieces: pieceListSchema,
      bytesPerSecond: z.int().min(1).exactOptional(),
      credential: z.string().min(1),
    }),
    z.object({
      sha256: hex(64),
      what: z.string(),
      urls: z.array(address).min(1),
      bytesPerSecond: z.int().min(1).exactOptional(),
      credential: z.string().min(1).exactOptional(),
    }),
  ]),
  /** What a delete sends: the resource's own document, of which only this matters. */
  removal: z.looseObject({ stack: z.string().min(1), become, id: id.exactOptional() }),
};

/** Every fault of the document at once, each with its path. */
export function parseDocument<S extends z.ZodType>(schema: S, text: string, verb: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HostFailure(
      "bad_document",
      `${verb}: stdin is not a JSON document`,
      "hostctl reads one JSON document on stdin; `lmstack up` sends it",
      error,
    );
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join(".") || "document"}: ${issue.message}`);
  throw new HostFailure(
    "bad_document",
    `${verb}: ${faults.join("; ")}`,
    "the operator's lmstack and this hostctl may be of different versions; run up again",
  );
}
