/**
 * What a host is, as a user writes it under `lmstack:host`. Forms and defaults only: what spans several keys is in `rules.ts`.
 * Nothing here may hold a secret: keys are named, their values are Pulumi secrets `lmstack:secret.NAME`.
 */
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { kvCacheTypes } from "./kv-cache.ts";
import { searchSchema } from "./proxy-config.ts";

export const port = z.int().min(1).max(65535);
const hex = (digits: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `${digits} hexadecimal digits in lower case`);
const become = z.enum(["sudo", "none"]).describe("sudo = `sudo -n` for services; none = only what the user may do");
const userName = z.string().regex(/^[a-z_][a-z0-9_.-]{0,31}$/i, "a user name of the host");
/** Ends up in file names, resource names and shell words, so the set is narrow. */
export const identifier = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
    "letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128",
  );

/** The key's own bytes begin with the name of its type: a line cut short or put together wrongly would only show as ssh's silence. */
function isPublicKey(line: string): boolean {
  const [type = "", body = ""] = line.split(" ");
  if (!/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521))$/.test(type) || !/^[A-Za-z0-9+/]+={0,2}$/.test(body))
    return false;
  const bytes = Buffer.from(body, "base64");
  const name = bytes.subarray(4, 4 + type.length).toString("latin1");
  return bytes.length > type.length + 36 && bytes.readUInt32BE() === type.length && name === type;
}

/** What hostctl will do with it, which refuses another host's name and broken percent signs. */
function namesFile(url: string): boolean {
  try {
    return !url.startsWith("file:") || fileURLToPath(url).startsWith("/");
  } catch {
    return false;
  }
}

const local = z.strictObject({
  local: z.literal(true).describe("This machine itself, without SSH"),
  become: become.default("none"),
});
const remote = z.strictObject({
  local: z.literal(false).optional(),
  host: z.string().regex(/^[A-Za-z0-9_[:][A-Za-z0-9_.:[\]%-]*$/, "a host name or an address"),
  port: port.default(22),
  user: userName,
  hostKey: z
    .string()
    .refine(isPublicKey, "a public key line such as 'ssh-ed25519 AAAA…'")
    .describe("The host's public key; ssh-keyscan prints it"),
  become: become.default("sudo"),
  proxyJump: z
    .string()
    .regex(/^[A-Za-z0-9_[][A-Za-z0-9_.:@[\]%,-]*$/, "[user@]host[:port], several separated by commas")
    .optional()
    .describe("Jump host, as your own ~/.ssh/config knows it"),
});

const address = z.url({ protocol: /^https?$/, error: "an address with http or https" });
const source = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe("Absolute path on the host: a .gguf file or, on macos-metal, the folder of an MLX model"),
    url: address.optional(),
    hf: z
      .string()
      .min(1)
      .optional()
      .describe("owner/repo/file@revision, or on macos-metal owner/repo@revision for a whole MLX repository"),
    peer: z.array(address).min(1).optional().describe("Hosts that share the file by its sha256 (hostctl share)"),
    peerStacks: z
      .array(identifier)
      .min(1)
      .optional()
      .describe("Stacks of this project whose hosts have the file: they share it for the time of the download"),
    file: z
      .string()
      .regex(
        /^[^/\\.\0][^/\\\0]*\.gguf$/i,
        "a file name that ends in .gguf: a folder never comes from peers, name it by path or hf",
      )
      .optional()
      .describe("Name of the file that peers have"),
    mirrors: z.array(address).min(1).optional().describe("Further addresses of the file at url"),
    endpoint: address.optional().describe("Another hub than https://huggingface.co for hf"),
    secret: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "the NAME of a secret lmstack:secret.NAME")
      .optional()
      .describe("Name of the secret lmstack:secret.NAME with the token for url or hf, or the key of peer"),
    bytesPerSecond: z.int().min(1024).optional().describe("Bandwidth that a download may take"),
  })
  .describe(
    "Exactly one of path, url, hf, peer, peerStacks; a multi-part model is named by its first file, NAME-00001-of-0000N.gguf",
  );

const model = z.strictObject({
  id: identifier.describe("The name that clients use"),
  source,
  sha256: z
    .union([hex(64), z.array(hex(64)).min(1)], "64 hexadecimal digits in lower case, or a list of them")
    .optional()
    .describe(
      "Needed for url and peers; hf tells it itself. A list has one for each file of a multi-part model; of a folder it is the digest of the list of its files",
    ),
  import: z.enum(["symlink", "hard-link", "copy", "move"]).default("symlink"),
  publisher: identifier.default("local"),
  repo: identifier.optional().describe("Defaults to the name of the file or folder"),
  load: z
    .strictObject({
      gpu: z
        .union([z.literal("max"), z.literal("off"), z.number().min(0).max(1)], "max, off, or a share from 0 to 1")
        .default("max"),
      contextLength: z.int().min(256).max(16_777_216).default(200_000),
      parallel: z.int().min(1).max(256).default(2),
      flashAttention: z.boolean().optional().describe("Goes into LM Studio's defaults of the model"),
      kvCacheType: z
        .enum(kvCacheTypes)
        .optional()
        .describe("Type of the key and value cache, of both; a quantised one switches flash attention on"),
    })
    .prefault({}),
  thinking: z.enum(["off", "on", "client"]).default("off"),
});

const lmstudio = z.strictObject({
  user: userName.optional().describe("Owner of LM Studio; defaults to the SSH user"),
  version: z
    .string()
    .regex(/^\d+\.\d+\.\d+-\d+$/, "a release such as 0.0.25-1")
    .default("0.0.25-1"),
  sha512: hex(128).optional().describe("Digest of the release's archive"),
  url: z
    .url({ protocol: /^(https?|file)$/, error: "an address with https, http or file" })
    .refine(namesFile, "file:///path/of/the/archive on the host itself")
    .optional()
    .describe("Where the host takes the archive from instead"),
  mirrors: z
    .array(z.url({ protocol: /^https?$/, error: "an address with http or https" }))
    .optional()
    .describe("Other addresses of the same archive, for when one does not answer"),
  engine: z
    .strictObject({ name: z.string().min(1), version: z.string().regex(/^\d+(\.\d+)+$/, "a version such as 2.25.2") })
    .optional(),
  backendPort: port.default(8081).describe("LM Studio's own port, on loopback only"),
});

/** Goes into log lines and labels of metrics; the proxy allows no longer one. */
export const keyName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 64",
  );

/** A name alone stands for a key that may use every model, as often as it likes, for good. */
const key = z
  .union(
    [
      keyName,
      z.strictObject({
        id: keyName,
        models: z.array(z.string().min(1)).min(1).default(["*"]).describe("Ids of models that it may use; * is all"),
        requestsPerMinute: z.number().positive().optional(),
        expires: z.iso
          .datetime({ offset: true, error: 'a moment in quotes, such as "2027-01-01T00:00:00Z"' })
          .optional()
          .describe("The first moment at which it is refused"),
        admin: z.boolean().default(false).describe("May hold and resume models and read reports"),
      }),
    ],
    "a name, or {id, models, requestsPerMinute, expires, admin}",
  )
  .transform((entry) => (typeof entry === "string" ? { id: entry, models: ["*"], admin: false } : entry));

const proxy = z.strictObject({
  bind: z.string().min(1).default("0.0.0.0"),
  port: port.default(8080),
  runtime: z.enum(["docker", "native"]).optional().describe("docker on Linux, native on a Mac"),
  image: z
    .string()
    .regex(/^[a-z0-9.\-_/:]+@sha256:[0-9a-f]{64}$/, "repository@sha256:… with 64 hexadecimal digits")
    .optional()
    .describe("Taken from a registry by digest instead of being built on the host"),
  keys: z.array(key).prefault([]).describe("Names; values are secrets lmstack:secret.NAME"),
  allowAnonymous: z.boolean().default(false),
  noThink: z
    .enum(["auto", "effort", "prefill", "both"])
    .default("auto")
    .describe("How thinking is switched off on the chat endpoints; auto finds out what works"),
  search: searchSchema.optional().describe("Serves Codex's web search; without it the tool is left out"),
});

const codex = z.strictObject({
  provider: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]*$/, "letters, digits, '_' and '-', beginning with a letter")
    .default("lms"),
  baseUrl: z.string().optional().describe("Where clients reach the proxy, ending in /v1"),
});

export const sections = {
  platform: z.enum(["linux-cuda", "linux-cpu", "macos-metal"]),
  connection: z.discriminatedUnion("local", [remote, local]),
  lmstudio: lmstudio.prefault({}),
  models: z.array(model),
  proxy: proxy.prefault({}),
  codex: codex.prefault({}),
};

export const modelSchema = model;
export const hostSpecSchema = z.strictObject(sections);

export type HostSpec = z.output<typeof hostSpecSchema>;
export type Connection = HostSpec["connection"];
export type RemoteConnection = Extract<Connection, { host: string }>;
export type ModelSpec = HostSpec["models"][number];
export type KeySpec = HostSpec["proxy"]["keys"][number];

export const isRemote = (connection: Connection): connection is RemoteConnection => "host" in connection;

/** Docker wherever Linux is, unless the spec says otherwise. */
export const proxyRuntime = (spec: HostSpec): "docker" | "native" =>
  spec.proxy.runtime ?? (spec.platform === "macos-metal" ? "native" : "docker");

/** Where clients reach the proxy. */
export function baseUrl(spec: HostSpec): string {
  if (spec.codex.baseUrl !== undefined) return spec.codex.baseUrl;
  const host = isRemote(spec.connection) ? spec.connection.host : "127.0.0.1";
  return `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${spec.proxy.port}/v1`;
}
