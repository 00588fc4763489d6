/** What one look at a host yields, read from `probe.sh`'s lines. */
import type { Observed } from "../spec/host-documents.ts";

export interface Listener {
  readonly port: number;
  readonly uid: number;
  /** It belongs to LM Studio, to lmstack, or to the script that lmstack succeeds. */
  readonly ours: boolean;
  readonly program: string;
}

export interface ModelFile {
  readonly state: "absent" | "nofile" | "unreadable" | "file";
  readonly bytes: number;
  /** Begins as a GGUF does. */
  readonly gguf: boolean;
  /** Null when it was not read: verified before, or too large to read on each preview. */
  readonly sha256: string | null;
}

export interface HostFacts {
  readonly system: string;
  readonly machine: string;
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly home: string;
  /** On the home's file system. */
  readonly freeBytes: number;
  readonly glibc: string | null;
  readonly libatomic: boolean;
  /** Null when nothing asks for it. */
  readonly sudo: boolean | null;
  readonly docker: string | null;
  readonly dockerError: string | null;
  readonly gpu: { readonly driver: string; readonly memoryMiB: number; readonly name: string } | null;
  readonly listeners: readonly Listener[];
  /** LM Studio is not there, somebody else's, installed by lmstack, or installed by it in the declared version. */
  readonly lms: "absent" | "foreign" | "own" | "declared";
  /** Hash of the runtime that `current` points to. */
  readonly runtime: string | null;
  /** The stack that deployed there last; null on a host without one. */
  readonly stack: string | null;
  readonly tokens: Readonly<Record<string, string>>;
  /** By place in the spec. */
  readonly models: ReadonlyMap<number, ModelFile>;
  /** Bytes of things to download, by name; null when the host says that it does not exist. */
  readonly downloads: ReadonlyMap<string, number | null>;
  /** Bytes of them that lie on the host already. */
  readonly fetched: ReadonlyMap<string, number>;
  readonly observed: Observed | null;
}

/** @throws when the lines are not those of the probe. */
export function parseFacts(output: string): HostFacts {
  const lines = output.split("\n").flatMap((line): [string, string][] => {
    const tab = line.indexOf("\t");
    return tab < 0 ? [] : [[line.slice(0, tab), line.slice(tab + 1).trim()]];
  });
  const all = (key: string): string[][] => lines.filter(([name]) => name === key).map(([, value]) => value.split(" "));
  const one = (key: string): string | null => lines.find(([name]) => name === key)?.[1] || null;
  const home = one("home");
  if (!home)
    throw new Error(
      `the host's shell answered with something else than facts: ${output.slice(0, 200).trim() || "nothing"}`,
    );
  const [driver, memory, ...name] = (one("gpu") ?? "").split(", ");
  const sudo = one("sudo");
  const observed = one("observed");
  return {
    system: one("system") ?? "",
    machine: one("machine") ?? "",
    uid: Number(one("uid")),
    gid: Number(one("gid")),
    user: one("user") ?? "",
    home,
    freeBytes: Number(one("free")),
    glibc: one("glibc"),
    libatomic: Number(one("libatomic")) > 0,
    sudo: sudo === null ? null : sudo === "yes",
    docker: one("docker"),
    dockerError: one("docker_error"),
    gpu: driver && /^\d/.test(driver) ? { driver, memoryMiB: Number(memory), name: name.join(", ") } : null,
    listeners: all("listens").map(([port, uid, ours, ...program]) => ({
      port: Number(port),
      uid: Number(uid),
      ours: ours === "yes",
      program: program.join(" "),
    })),
    lms: (one("lms") ?? "absent") as HostFacts["lms"],
    runtime: one("runtime")?.split("/").at(-1) ?? null,
    stack: one("stack"),
    tokens: Object.fromEntries(all("token").map(([resource, token]) => [resource, token ?? ""])),
    models: new Map(
      all("model").map(([index, state, bytes, magic, sum]) => [
        Number(index),
        {
          state: state as ModelFile["state"],
          bytes: Number(bytes ?? 0),
          gguf: magic === "GGUF",
          sha256: sum && sum !== "-" ? sum : null,
        },
      ]),
    ),
    downloads: new Map(all("remote").map(([what, bytes]) => [what ?? "", bytes === "absent" ? null : Number(bytes)])),
    fetched: new Map(all("remote").map(([what, , part]) => [what ?? "", Number(part ?? 0)])),
    observed: readObserved(observed),
  };
}

/** hostctl's answer to `observe`; null when it could not look, which makes everything converge anew. */
function readObserved(line: string | null): Observed | null {
  if (!line) return null;
  try {
    const result = JSON.parse(line) as { ok: boolean; observed?: Observed };
    return result.ok ? (result.observed ?? null) : null;
  } catch {
    return null;
  }
}
