/** Rules that span several keys. Each takes only the parts it needs, so that one broken section does not hide faults in another. */
import { type Fault, shown } from "./faults.ts";
import type { HostSpec, ModelSpec } from "./host-spec.ts";
import { defaultRepo, fileName, hubUrl } from "./model-names.ts";

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
    ...modelFaults(parts.models),
    ...proxyFaults(parts),
    ...engineFaults(parts),
    ...userFaults(parts),
    ...codexFaults(parts),
  ];
}

function sourceFaults(model: ModelSpec, at: string): Fault[] {
  const named = (["path", "url", "hf"] as const).filter((key) => model.source[key] !== undefined);
  if (named.length !== 1) {
    const found = named.length === 0 ? "none of them" : named.join(" and ");
    return [
      { where: `${at}.source`, found, expected: "exactly one of path, url, hf", next: `keep one key in ${at}.source` },
    ];
  }
  const { path, url, hf } = model.source;
  const faults: Fault[] = [];
  if (path !== undefined && !path.startsWith("/")) {
    const crossing = /^[^/~.][^/]*:/.test(path);
    faults.push({
      where: `${at}.source.path`,
      found: shown(path),
      expected: crossing
        ? "a path on the host itself: neither a symbolic link nor a copy can reach over to another host"
        : "an absolute path on the host",
      next: crossing ? "place the file on the host, or use source.url with its sha256" : "begin the path with '/'",
    });
  }
  if (hf !== undefined && hubUrl(hf) === null) {
    const next = "name owner, repository, file and a revision (a commit is best)";
    faults.push({ where: `${at}.source.hf`, found: shown(hf), expected: "owner/repo/file.gguf@revision", next });
  }
  const file = path ?? (url === undefined ? undefined : new URL(url).pathname);
  if (file !== undefined && !file.toLowerCase().endsWith(".gguf")) {
    const next = "name the .gguf file itself";
    faults.push({
      where: `${at}.source.${path ? "path" : "url"}`,
      found: shown(path ?? url),
      expected: "a file that ends in .gguf",
      next,
    });
  }
  if (path === undefined && model.sha256 === undefined) {
    faults.push({
      where: `${at}.sha256`,
      found: "nothing",
      expected: "64 hexadecimal digits: what is downloaded must be verifiable",
      next: "take the digest from the model's page, or run sha256sum on a copy that you trust",
    });
  }
  return faults;
}

function modelFaults(models: readonly (ModelSpec | undefined)[]): Fault[] {
  const faults: Fault[] = [];
  const ids = new Map<string, number>();
  const targets = new Map<string, { index: number; source: string }>();
  models.forEach((model, index) => {
    if (!model) return;
    const at = `models[${index}]`;
    // LM Studio compares identifiers without regard to case on some file systems: so do we.
    const earlier = ids.get(model.id.toLowerCase());
    if (earlier !== undefined) {
      const next = `rename models[${earlier}] or ${at}`;
      faults.push({
        where: `${at}.id`,
        found: `${shown(model.id)}, as models[${earlier}]`,
        expected: "an id of its own",
        next,
      });
    }
    ids.set(model.id.toLowerCase(), index);
    const ofSource = sourceFaults(model, at);
    faults.push(...ofSource);
    if (ofSource.some(({ where }) => where.startsWith(`${at}.source`))) return;
    const file = fileName(model.source);
    const target = `${model.publisher}/${model.repo ?? defaultRepo(file)}/${file}`;
    const same = targets.get(target);
    const source = JSON.stringify(model.source);
    if (same && same.source !== source) {
      const next = `give ${at} a publisher or repo of its own`;
      faults.push({
        where: `${at}.source`,
        found: `the place ${target}, taken by models[${same.index}]`,
        expected: "one source for one place",
        next,
      });
    }
    targets.set(target, { index, source });
  });
  return faults;
}

function proxyFaults({ platform, proxy, lmstudio }: Parts): Fault[] {
  if (!proxy) return [];
  const faults: Fault[] = [];
  if (lmstudio && lmstudio.backendPort === proxy.port) {
    const next = "change proxy.port or lmstudio.backendPort";
    faults.push({
      where: "proxy.port",
      found: `${proxy.port}, as lmstudio.backendPort`,
      expected: "two different ports",
      next,
    });
  }
  if (!isLoopback(proxy.bind) && proxy.keys.length === 0 && !proxy.allowAnonymous) {
    faults.push({
      where: "proxy.bind",
      found: `${proxy.bind} with neither keys nor allowAnonymous`,
      expected: "keys when the proxy can be reached from outside, or the explicit word that everyone may",
      next:
        "either name keys (proxy.keys: [me], then `pulumi config set --secret lmstack:secret.me …`), " +
        "or set proxy.allowAnonymous: true, or bind 127.0.0.1",
    });
  }
  const twice = proxy.keys.find((key, index) => proxy.keys.indexOf(key) !== index);
  if (twice)
    faults.push({
      where: "proxy.keys",
      found: `${shown(twice)} twice`,
      expected: "names of their own",
      next: "remove one",
    });
  if (platform === "macos-metal" && proxy.runtime === "docker") {
    const expected = "native: containers on a Mac cannot reach the Metal GPU nor the host's loopback";
    faults.push({
      where: "proxy.runtime",
      found: "docker on macos-metal",
      expected,
      next: "remove proxy.runtime or set it to native",
    });
  }
  if (proxy.image && proxy.runtime === "native") {
    const next = "remove proxy.image or set proxy.runtime: docker";
    faults.push({
      where: "proxy.image",
      found: "an image for the native runtime",
      expected: "an image only with docker",
      next,
    });
  }
  return faults;
}

function engineFaults({ platform, lmstudio }: Parts): Fault[] {
  const name = lmstudio?.engine?.name;
  if (!name || !platform) return [];
  const wanted = platform === "macos-metal" ? "mac" : "linux";
  const wrongSystem = /linux|mac|win/.test(name) && !name.includes(wanted);
  if (!wrongSystem && (platform === "linux-cuda" || !name.includes("cuda"))) return [];
  return [
    {
      where: "lmstudio.engine.name",
      found: `${shown(name)} on ${platform}`,
      expected: platform === "linux-cpu" ? "an engine for Linux without CUDA" : `an engine for ${platform}`,
      next: "correct platform or engine.name (`lms runtime ls` on the host lists names)",
    },
  ];
}

function userFaults({ connection, lmstudio }: Parts): Fault[] {
  if (!connection || !lmstudio?.user || connection.become === "sudo") return [];
  if ("host" in connection && connection.user === lmstudio.user) return [];
  const next = "set connection.become: sudo, or connect as that user";
  return [
    {
      where: "lmstudio.user",
      found: `${shown(lmstudio.user)} with become: none`,
      expected: "the user that connects",
      next,
    },
  ];
}

function codexFaults({ codex }: Parts): Fault[] {
  if (!codex) return [];
  const faults: Fault[] = [];
  // These ids are built into Codex and cannot be overridden.
  if (["lmstudio", "ollama", "openai", "amazon-bedrock"].includes(codex.provider)) {
    const expected = "a name that is not built into Codex";
    faults.push({ where: "codex.provider", found: shown(codex.provider), expected, next: "use lms" });
  }
  if (codex.baseUrl !== undefined && !/^https?:\/\/[^/\s?#]+(\/[^\s?#]*)?\/v1$/.test(codex.baseUrl)) {
    const expected = "http(s)://host[:port]/v1 without a slash at the end";
    faults.push({ where: "codex.baseUrl", found: shown(codex.baseUrl), expected, next: "correct codex.baseUrl" });
  }
  return faults;
}
