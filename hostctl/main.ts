/** hostctl VERB [PART]: one JSON document on stdin, one JSON line on stdout, progress for people on stderr. */

import type { Result } from "../infra/spec/host-documents.ts";
import { asFailure, HostFailure } from "./failure.ts";
import { thisHost } from "./host.ts";

const usage = `Usage: hostctl VERB [PART] < document.json

  observe                     facts of this host; changes nothing, starts nothing
  converge PART               make PART as the document says: lmstudio, model-file, model, proxy-files, proxy-image, proxy-gate
  remove PART                 take PART away: the same, proof and runtime
  doctor                      what stands in the way of a host that nobody looks after, and what puts it right
  prove                       ask every declared model through the proxy and judge the answers
  supervise                   keep LM Studio as declared, until SIGTERM (run by the service)
  share                       serve verified files to other hosts by their sha256, until it is ended
  spread                      share, list and fetch files for a rollout: a JSON line for each one on stdin, until that ends
  download SHA256             the job behind a model file's download (run by converge)

The document is JSON on stdin. The result is one JSON line on stdout, progress is on stderr. Exit 0 only with "ok": true.
`;

/** Longer than any single step may take: a hostctl that hangs must not hold the host's lock for ever. */
const boundMs = 4 * 3_600_000;

async function main(words: readonly string[]): Promise<number> {
  const [verb = "--help", part = ""] = words;
  if (verb === "--help" || verb === "-h" || verb === "help") {
    process.stdout.write(usage);
    return 0;
  }
  const host = thisHost();
  if (host.home === "" || host.home === "/")
    throw new HostFailure(
      "internal",
      "HOME is not set, so LM Studio's folder is unknown",
      "call hostctl with HOME set",
    );
  // Each for itself: the supervisor stays for months, and needs a tenth of all that hostctl can do.
  if (verb === "supervise") {
    const { supervise } = await import("./supervisor/supervise.ts");
    return await supervise(host).then(() => 0);
  }
  if (verb === "spread") {
    const { spread } = await import("./transfer/spread.ts");
    return await spread(host, process.stdin, print).then(() => 0);
  }
  const { perform, serve } = await import("./verbs.ts");
  if (verb === "share" || verb === "download") return await serve(host, verb, part, await readStdin(), print);
  const timer = setTimeout(() => {
    finish(
      asFailure(
        new HostFailure(
          "timeout",
          `hostctl ${words.join(" ")} did not end within ${boundMs / 3_600_000} hours`,
          "run up again",
        ),
      ),
    );
    process.exit(1);
  }, boundMs);
  const text = await readStdin();
  const { token, done } = await perform(host, verb, part, text);
  clearTimeout(timer);
  const result =
    Array.isArray(done) || done === undefined
      ? { changed: done ?? [] }
      : { changed: done.changes, observed: done.observed };
  print({ ok: true, ...(token === undefined ? {} : { token }), ...result });
  return 0;
}

async function readStdin(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

function print(result: Result): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function finish(failure: HostFailure): void {
  print({ ok: false, error: { code: failure.code, message: failure.message, hint: failure.hint } });
  process.stderr.write(`error: ${failure.message} — ${failure.hint}\n`);
}

process.stdout.on("error", () => {});
// A fault of ours in some callback still ends with the one line that the caller waits for.
process.on("uncaughtException", (error) => {
  finish(asFailure(error));
  process.exit(1);
});
process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  finish(asFailure(error));
  return 1;
});
// Agents and sockets that are still open must not keep it alive.
process.exit();
