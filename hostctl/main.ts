/** hostctl VERB [PART]: one JSON document on stdin, one JSON line on stdout, progress for people on stderr. */

import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { z } from "zod";
import type { Change, Result } from "../infra/spec/host-documents.ts";
import { sweepStaging } from "./atomic-file.ts";
import { doctor } from "./doctor/doctor.ts";
import { parseDocument, schemas } from "./documents.ts";
import { asFailure, HostFailure } from "./failure.ts";
import { type Host, thisHost } from "./host.ts";
import { hostLock, withLock } from "./lock.ts";
import { observe } from "./observe.ts";
import { prove } from "./prove/prove.ts";
import { convergeLmstudio, removeLmstudio } from "./resources/lmstudio.ts";
import { convergeModel, removeModel } from "./resources/model.ts";
import { convergeModelFile, removeModelFile } from "./resources/model-file.ts";
import { convergeProxyFiles, removeProxyFiles } from "./resources/proxy-files.ts";
import { convergeProxyGate, removeProxyGate } from "./resources/proxy-gate.ts";
import { convergeProxyImage, removeProxyImage } from "./resources/proxy-image.ts";
import { removeRuntime } from "./resources/runtime.ts";
import { supervise } from "./supervisor/supervise.ts";
import { dropToken } from "./tokens.ts";
import { download } from "./transfer/download-job.ts";
import { share } from "./transfer/share.ts";

const usage = `Usage: hostctl VERB [PART] < document.json

  observe                     facts of this host; changes nothing, starts nothing
  converge PART               make PART as the document says: lmstudio, model-file, model, proxy-files, proxy-image, proxy-gate
  remove PART                 take PART away: the same, proof and runtime
  doctor                      what stands in the way of a host that nobody looks after, and what puts it right
  prove                       ask every declared model through the proxy and judge the answers
  supervise                   keep LM Studio as declared, until SIGTERM (run by the service)
  share                       serve verified files to other hosts by their sha256, until it is ended
  download SHA256             the job behind a model file's download (run by converge)

The document is JSON on stdin. The result is one JSON line on stdout, progress is on stderr. Exit 0 only with "ok": true.
`;

/** Longer than any single step may take: a hostctl that hangs must not hold the host's lock for ever. */
const boundMs = 4 * 3_600_000;

type Done = Change[] | { readonly changes: Change[]; readonly observed: unknown } | undefined;

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
  if (verb === "supervise") return await supervise(host).then(() => 0);
  if (verb === "share") return await share(host, parseDocument(schemas.share, await readStdin(), verb));
  if (verb === "download") return await download(host, part, await readStdin()).then(() => 0);
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

async function perform(host: Host, verb: string, part: string, text: string): Promise<{ token?: string; done: Done }> {
  const name = `${verb} ${part}`.trim();
  const exclusively = (body: () => Promise<Done>, more = "") =>
    withLock(host, hostLock, `${name}${more}`, async () => {
      await sweepStaging(ownFolders(host));
      return await body();
    });
  const parse = <S extends Parameters<typeof parseDocument>[0]>(schema: S) => parseDocument(schema, text, name);
  const converged = async <S extends z.ZodType<{ token: string; id?: string }>>(
    schema: S,
    body: (host: Host, sent: z.output<S>) => Promise<Done>,
  ) => {
    const document = parse(schema);
    const done = await exclusively(() => body(host, document), document.id === undefined ? "" : ` ${document.id}`);
    return { token: document.token, done };
  };
  switch (name) {
    case "observe":
      return { done: { changes: [], observed: await observe(host, parse(schemas.observe)) } };
    case "doctor":
      return { done: { changes: [], observed: await doctor(host, parse(schemas.doctor)) } };
    case "prove": {
      const document = parse(schemas.prove);
      return { token: document.token, done: await prove(host, document) };
    }
    case "converge model-file": {
      const document = parse(schemas.modelFile);
      return { token: document.token, done: await convergeModelFile(host, document) };
    }
    case "converge lmstudio":
      return await converged(schemas.lmstudio, convergeLmstudio);
    case "converge model":
      return await converged(schemas.model, convergeModel);
    case "converge proxy-files":
      return await converged(schemas.proxyFiles, convergeProxyFiles);
    case "converge proxy-image":
      return await converged(schemas.proxyImage, convergeProxyImage);
    case "converge proxy-gate":
      return await converged(schemas.proxyGate, convergeProxyGate);
  }
  if (verb !== "remove")
    throw new HostFailure("bad_document", `there is no verb "${name}"`, "`hostctl --help` lists the verbs");
  const { become, stack, id } = parse(schemas.removal);
  const mustId = () => {
    if (id !== undefined) return id;
    throw new HostFailure(
      "bad_document",
      `${name}: id is missing in the document`,
      "send the document of the resource that goes",
    );
  };
  const removals: Record<string, () => Promise<void>> = {
    lmstudio: () => removeLmstudio(host, become),
    model: () => removeModel(host, mustId()),
    "model-file": () => removeModelFile(host, mustId()),
    "proxy-files": () => removeProxyFiles(host, become),
    "proxy-image": () => removeProxyImage(host),
    "proxy-gate": () => removeProxyGate(host, stack),
    proof: () => dropToken(host, "proof"),
    runtime: () => removeRuntime(host, become, stack),
  };
  const removal = removals[part];
  if (removal === undefined)
    throw new HostFailure(
      "bad_document",
      `there is nothing named "${part}" to remove`,
      "`hostctl --help` lists the parts",
    );
  await exclusively(async () => {
    await removal();
    return undefined;
  });
  return { done: undefined };
}

/** Where killed writers may have left staging files. */
function ownFolders(host: Host): string[] {
  const folders = readdirSync(host.paths.root, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && entry.name !== basename(host.paths.runtimes),
  );
  const first = folders.map((entry) => join(host.paths.root, entry.name));
  return [
    host.paths.root,
    ...first,
    join(host.paths.state, "imports"),
    join(host.paths.state, "incidents"),
    join(host.paths.state, "model-defaults"),
    join(host.paths.state, "proofs"),
    host.paths.lmstudio,
    join(host.paths.lmstudio, ".internal"),
  ];
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
