/** Rules that span several keys. Each takes only the parts it needs, so that one broken section does not hide faults in another. */
import { type Fault, fault, nearest, shown } from "./faults.ts";
import type { HostSpec, ModelSpec } from "./host-spec.ts";
import { isQuantised } from "./kv-cache.ts";
import { defaultRepo, fileName, hubUrl, isFolder, partNames, partOf, sourceDocument } from "./model-names.ts";

/** Sections that were readable by themselves; models keep their place. */
export interface Parts {
  readonly platform?: HostSpec["platform"] | undefined;
  readonly connection?: HostSpec["connection"] | undefined;
  readonly lmstudio?: HostSpec["lmstudio"] | undefined;
  readonly models: readonly (ModelSpec | undefined)[];
  readonly proxy?: HostSpec["proxy"] | undefined;
  readonly codex?: HostSpec["codex"] | undefined;
}

const loopback = /^(127\.\d+\.\d+\.\d+|::1|\[::1\]|localhost)$/;
export const isLoopback = (bind: string): boolean => loopback.test(bind);

export function crossFaults(parts: Parts): Fault[] {
  return [
    ...modelFaults(parts),
    ...proxyFaults(parts),
    ...keyFaults(parts),
    ...engineFaults(parts),
    ...userFaults(parts),
    ...codexFaults(parts),
  ];
}

function* sourceFaults(model: ModelSpec, at: string): Iterable<Fault> {
  const where = `${at}.source`;
  const named = (["path", "url", "hf", "peer", "peerStacks"] as const).filter((key) => model.source[key] !== undefined);
  if (named.length !== 1) {
    yield fault(
      where,
      named.join(" and ") || "none of them",
      "exactly one of path, url, hf, peer, peerStacks",
      `keep one key in ${where}`,
    );
    return;
  }
  const { path, url, hf } = model.source;
  if (path !== undefined && /^[^/~.][^/]*:/.test(path)) {
    const expected = "a path on the host itself: neither a symbolic link nor a copy can reach over to another host";
    const next = "place the file on the host, or use source.url with its sha256";
    yield fault(`${where}.path`, shown(path), expected, next);
  } else if (path !== undefined && !/^\/.*[^/]/.test(path)) {
    yield fault(`${where}.path`, shown(path), "an absolute path on the host", "begin the path with '/'");
  }
  if (hf !== undefined && hubUrl(hf) === null) {
    const next = "name owner, repository, file and a revision (a commit is best)";
    yield fault(
      `${where}.hf`,
      shown(hf),
      "owner/repo/file.gguf@revision, or owner/repo@revision of an MLX model",
      next,
    );
  }
  if (url !== undefined && !new URL(url).pathname.toLowerCase().endsWith(".gguf"))
    yield fault(`${where}.url`, shown(url), "a file that ends in .gguf", "name the .gguf file itself");
  yield* downloadFaults(model, at);
}

function* downloadFaults({ source, sha256 }: ModelSpec, at: string): Iterable<Fault> {
  const { path, url, hf, peer, peerStacks } = source;
  const peers = peer !== undefined || peerStacks !== undefined;
  const companions = [
    ["mirrors", url !== undefined, "url"],
    ["endpoint", hf !== undefined, "hf"],
    ["file", peers, "peer or peerStacks"],
    ["secret", path === undefined && peerStacks === undefined, "url or hf"],
    ["bytesPerSecond", path === undefined, "url or hf"],
  ] as const;
  for (const [key, fits, beside] of companions)
    if (source[key] !== undefined && !fits)
      yield fault(`${at}.source.${key}`, `${key} without ${beside}`, `${key} only beside ${beside}`, `remove ${key}`);
  const needed = peer !== undefined ? (["file", "secret"] as const) : peers ? (["file"] as const) : [];
  for (const key of needed)
    if (source[key] === undefined)
      yield fault(`${at}.source.${key}`, "nothing", `${key} beside peers`, `add ${at}.source.${key}`);
  if ((url !== undefined || peers) && sha256 === undefined) {
    const expected = "64 hexadecimal digits: what is downloaded must be verifiable";
    const next = "take the digest from the model's page, or run sha256sum on a copy that you trust";
    yield fault(`${at}.sha256`, "nothing", expected, next);
  }
  const name = path ?? source.file ?? (url === undefined ? hf?.replace(/@[^@]*$/, "") : new URL(url).pathname) ?? "";
  const number = partOf(name)?.number ?? 1;
  if (number !== 1) {
    const next = "name the first file, which stands for all of them";
    yield fault(`${at}.source`, `part ${number} of a model`, "its first part, -00001-of-…", next);
  }
  const parts = partNames(name).length;
  const digests = typeof sha256 === "string" ? 1 : sha256?.length;
  if (digests !== undefined && digests !== parts) {
    const expected = parts === 1 ? "one digest" : `${parts} digests, one for each file in their order`;
    yield fault(`${at}.sha256`, `${digests}`, expected, `give sha256 ${parts === 1 ? "as a text" : "as a list"}`);
  }
}

function* loadFaults({ load }: ModelSpec, at: string): Iterable<Fault> {
  const { flashAttention, kvCacheType } = load;
  if (flashAttention === false && isQuantised(kvCacheType)) {
    const expected = "f16 or f32, since the engine refuses a quantised V cache without flash attention";
    const next = `remove ${at}.load.flashAttention, or choose kvCacheType: f16`;
    yield fault(`${at}.load.kvCacheType`, `${kvCacheType} with flashAttention: false`, expected, next);
  }
}

/** LM Studio runs such models with MLX, which there is for Apple silicon only. */
function* folderFaults({ source, load }: ModelSpec, at: string, platform: Parts["platform"]): Iterable<Fault> {
  const key = source.path === undefined ? "hf" : "path";
  if (platform !== undefined && platform !== "macos-metal") {
    const expected = `a file that ends in .gguf on ${platform}: folders are MLX models, which run on macos-metal only`;
    const next = "name the .gguf file itself, or one of a GGUF repository of the same model";
    yield fault(`${at}.source.${key}`, shown(source[key]), expected, next);
  }
  for (const name of ["flashAttention", "kvCacheType"] as const)
    if (load[name] !== undefined) {
      const expected = "only beside a GGUF file: LM Studio's MLX engine does not know it";
      yield fault(`${at}.load.${name}`, `${load[name]} for a folder`, expected, `remove ${at}.load.${name}`);
    }
}

function* modelFaults({ models, platform }: Parts): Iterable<Fault> {
  const ids = new Map<string, number>();
  const targets = new Map<string, { index: number; source: string; defaults: string }>();
  for (const [index, model] of models.entries()) {
    if (!model) continue;
    const at = `models[${index}]`;
    // LM Studio compares identifiers without regard to case on some file systems: so do we.
    const earlier = ids.get(model.id.toLowerCase());
    if (earlier !== undefined) {
      const found = `${shown(model.id)}, as models[${earlier}]`;
      yield fault(`${at}.id`, found, "an id of its own", `rename models[${earlier}] or ${at}`);
    }
    ids.set(model.id.toLowerCase(), index);
    yield* loadFaults(model, at);
    const ofSource = [...sourceFaults(model, at)];
    yield* ofSource;
    if (ofSource.some(({ where }) => where.startsWith(`${at}.source`))) continue;
    const file = fileName(model.source);
    const repo = `${model.publisher}/${model.repo ?? defaultRepo(file)}`;
    const folder = isFolder(sourceDocument(model.source));
    if (folder) yield* folderFaults(model, at, platform);
    // A folder takes the whole place of its repository.
    const target = folder ? repo : `${repo}/${file}`;
    const same = [...targets].find(([other]) => isBelow(other, target) || isBelow(target, other))?.[1];
    const source = JSON.stringify(model.source);
    const { flashAttention, kvCacheType } = model.load;
    const defaults = JSON.stringify({ flashAttention, kvCacheType });
    if (same && same.defaults !== defaults) {
      const found = `other values of flashAttention or kvCacheType than models[${same.index}], which has the same file`;
      const next = `give ${at} a publisher or repo of its own`;
      yield fault(`${at}.load`, found, "one value: LM Studio keeps them by file", next);
    }
    if (same && same.source !== source) {
      const found = `the place ${target}, taken by models[${same.index}]`;
      yield fault(`${at}.source`, found, "one source for one place", `give ${at} a publisher or repo of its own`);
    }
    targets.set(target, { index, source, defaults });
  }
}

const isBelow = (path: string, top: string): boolean => `${path}/`.startsWith(`${top}/`);

function* proxyFaults({ platform, proxy, lmstudio }: Parts): Iterable<Fault> {
  if (!proxy) return;
  if (lmstudio && lmstudio.backendPort === proxy.port) {
    const next = "change proxy.port or lmstudio.backendPort";
    yield fault("proxy.port", `${proxy.port}, as lmstudio.backendPort`, "two different ports", next);
  }
  if (!isLoopback(proxy.bind) && proxy.keys.length === 0 && !proxy.allowAnonymous) {
    const expected = "keys when the proxy can be reached from outside, or the explicit word that everyone may";
    const next =
      "either make a key (`lmstack keys add me`; by hand proxy.keys: [me] and `pulumi config set --secret lmstack:secret.me`), " +
      "or set proxy.allowAnonymous: true, or bind 127.0.0.1";
    yield fault("proxy.bind", `${proxy.bind} with neither keys nor allowAnonymous`, expected, next);
  }
  if (platform === "macos-metal" && proxy.runtime === "docker") {
    const expected = "native: containers on a Mac cannot reach the Metal GPU nor the host's loopback";
    yield fault("proxy.runtime", "docker on macos-metal", expected, "remove proxy.runtime or set it to native");
  }
  if (proxy.image && proxy.runtime === "native") {
    const next = "remove proxy.image or set proxy.runtime: docker";
    yield fault("proxy.image", "an image for the native runtime", "an image only with docker", next);
  }
}

function* keyFaults({ proxy, models }: Parts): Iterable<Fault> {
  const declared = models.map((model) => model?.id);
  for (const [index, { id, models: allowed }] of (proxy?.keys ?? []).entries()) {
    const at = `proxy.keys[${index}]`;
    const earlier = proxy?.keys.findIndex((key) => key.id === id) ?? index;
    if (earlier < index) {
      yield fault(at, `${shown(id)} twice, as proxy.keys[${earlier}]`, "names of their own", "remove or rename one");
    }
    // What a broken model is called is not known yet, and its own fault comes first.
    if (declared.includes(undefined)) continue;
    for (const [place, name] of allowed.entries()) {
      if (name === "*" || declared.includes(name)) continue;
      const known = declared.filter((model) => model !== undefined);
      const meant = nearest(name, known);
      const next = meant ? `did you mean ${meant}?` : "name a declared model, or leave models out";
      yield fault(`${at}.models[${place}]`, shown(name), `the id of a model (${known.join(", ")}) or *`, next);
    }
  }
}

function* engineFaults({ platform, lmstudio }: Parts): Iterable<Fault> {
  const name = lmstudio?.engine?.name;
  if (!name || !platform) return;
  const wanted = platform === "macos-metal" ? "mac" : "linux";
  const wrongSystem = /linux|mac|win/.test(name) && !name.includes(wanted);
  if (!wrongSystem && (platform === "linux-cuda" || !name.includes("cuda"))) return;
  const expected = platform === "linux-cpu" ? "an engine for Linux without CUDA" : `an engine for ${platform}`;
  const next = "correct platform or engine.name (`lms runtime ls` on the host lists names)";
  yield fault("lmstudio.engine.name", `${shown(name)} on ${platform}`, expected, next);
}

function* userFaults({ connection, lmstudio }: Parts): Iterable<Fault> {
  if (!connection || !lmstudio?.user || connection.become === "sudo") return;
  if ("host" in connection && connection.user === lmstudio.user) return;
  const next = "set connection.become: sudo, or connect as that user";
  yield fault("lmstudio.user", `${shown(lmstudio.user)} with become: none`, "the user that connects", next);
}

function* codexFaults({ codex }: Parts): Iterable<Fault> {
  if (!codex) return;
  // These ids are built into Codex and cannot be overridden.
  if (["lmstudio", "ollama", "openai", "amazon-bedrock"].includes(codex.provider))
    yield fault("codex.provider", shown(codex.provider), "a name that is not built into Codex", "use lms");
  if (codex.baseUrl !== undefined && !/^https?:\/\/[^/\s?#]+(\/[^\s?#]*)?\/v1$/.test(codex.baseUrl)) {
    const expected = "http(s)://host[:port]/v1 without a slash at the end";
    yield fault("codex.baseUrl", shown(codex.baseUrl), expected, "correct codex.baseUrl");
  }
}
