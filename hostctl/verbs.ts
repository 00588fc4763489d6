/** What each verb does with its document. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { z } from "zod";
import type { Change, Result } from "../infra/spec/host-documents.ts";
import { sweepStaging } from "./atomic-file.ts";
import { doctor } from "./doctor/doctor.ts";
import { parseDocument, schemas } from "./documents.ts";
import { HostFailure } from "./failure.ts";
import type { Host } from "./host.ts";
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
import { dropToken } from "./tokens.ts";
import { download } from "./transfer/download-job.ts";
import { share } from "./transfer/share.ts";

type Done = Change[] | { readonly changes: Change[]; readonly observed: unknown } | undefined;

/** The verbs that stay: a share prints its result when it begins, a download none. Resolves with the exit code. */
export async function serve(
  host: Host,
  verb: "share" | "download",
  part: string,
  text: string,
  print: (result: Result) => void,
): Promise<number> {
  if (verb === "download") await download(host, part, text);
  else {
    const document = parseDocument(schemas.share, text, verb);
    await share(host, document, (port) => print({ ok: true, changed: [], observed: { port } }));
  }
  return 0;
}

export async function perform(
  host: Host,
  verb: string,
  part: string,
  text: string,
): Promise<{ token?: string; done: Done }> {
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
