/** Makes a host look as the shell script that lmstack descends from leaves it: what adoption has to cope with. */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { defaultRepo } from "../../infra/spec/model-names.ts";
import type { TestHost } from "./host.ts";

export interface AncestorOptions {
  /** LM Studio's tarball, as a path on the host. */
  readonly tarball: string;
  /** Model file, as a path on the host. */
  readonly gguf: string;
  /** The name that clients use. */
  readonly identifier: string;
  /** Default 200000, as the script's. */
  readonly contextLength?: number;
  /** Default 2, as the script's. */
  readonly parallel?: number;
  /** LM Studio's own port on loopback. Default 8081. */
  readonly backendPort?: number;
  /** The Python proxy's port on all addresses. Default 8080. */
  readonly port?: number;
}

/** Where the script puts its proxy, below the user's home. */
export const ancestorFiles = {
  program: ".lmstudio/.internal/lms-no-think-proxy.py",
  pid: ".lmstudio/.internal/lms-no-think-proxy.pid",
  log: ".lmstudio/.internal/lms-no-think-proxy.log",
} as const;

const script = `
set -eu
# The proxy's program comes on stdin: taken before anything else can read it.
program="$(mktemp)"
cat >"$program"
exec </dev/null
lms="$HOME/.lmstudio/bin/lms"
unpacked="$(mktemp -d)"
tar -xzf "$TARBALL" -C "$unpacked"
cd "$(dirname "$(find "$unpacked" -maxdepth 2 -name llmster -type f)")"
./llmster bootstrap
cd "$HOME"
rm -rf "$unpacked"
"$lms" bootstrap -y
# Whoever used the script with 0.0.25 had to make this folder by hand once: loads fail without it.
mkdir -p "$HOME/.lmstudio/.internal/temp"
"$lms" daemon up
"$lms" import -y --user-repo "local/$REPO" -l "$GGUF"
"$lms" load --exact "local/$REPO/$(basename "$GGUF")" --identifier "$IDENTIFIER" --gpu max --context-length "$CONTEXT" --parallel "$PARALLEL" -y
"$lms" server start --bind 127.0.0.1 --port "$BACKEND_PORT"
install -m 0755 "$program" "$HOME/$PROGRAM"
rm -f "$program"
nohup python3 "$HOME/$PROGRAM" 0.0.0.0 "$PORT" "$BACKEND_PORT" >"$HOME/$LOG" 2>&1 &
echo $! >"$HOME/$PID"
curl --silent --fail --output /dev/null --retry 40 --retry-delay 1 --retry-connrefused --max-time 60 "http://127.0.0.1:$PORT/v1/models"
`;

/**
 * Runs what a person ran by hand on such a box, as the user and over SSH.
 * @throws with the output of the step that failed
 */
export async function prepareAsAncestor(host: TestHost, options: AncestorOptions): Promise<void> {
  const settings = {
    TARBALL: options.tarball,
    GGUF: options.gguf,
    REPO: defaultRepo(basename(options.gguf)),
    IDENTIFIER: options.identifier,
    CONTEXT: options.contextLength ?? 200_000,
    PARALLEL: options.parallel ?? 2,
    BACKEND_PORT: options.backendPort ?? 8081,
    PORT: options.port ?? 8080,
    PROGRAM: ancestorFiles.program,
    PID: ancestorFiles.pid,
    LOG: ancestorFiles.log,
  };
  const words = Object.entries(settings).map(([name, value]) => `${name}='${value}'`);
  // Over SSH and not past it: daemons that a login leaves behind live in that session's control group, not in a service's.
  await host.ssh(`${words.join("\n")}\n${script}`, {
    stdin: await readFile(join(import.meta.dirname, "no-think-proxy.py")),
  });
}
