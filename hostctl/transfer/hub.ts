/**
 * What a hub says of a file before it is fetched: Hugging Face answers a resolve address with `x-linked-etag` (the sha256 of a large file) and
 * `x-linked-size`, in the hub's own answer and not in that of the storage it redirects to.
 */
import { createHash } from "node:crypto";
import * as z from "zod";
import { below } from "../../infra/spec/model-names.ts";
import { HostFailure } from "../failure.ts";
import { type Arrival, exchange, reasonOf, shown } from "./exchange.ts";

export interface HubFile {
  readonly sha256: string | null;
  readonly size: number | null;
}

/** One file of a repository, as the hub lists it. */
export interface ListedFile {
  readonly name: string;
  readonly size: number;
  /** Null for a small file, which lies in git itself. */
  readonly sha256: string | null;
  /** SHA-1 of git's blob. */
  readonly blob: string;
}

/** @throws HostFailure `fetch_failed` */
export async function askHub(url: string, what: string, bearer: string | undefined): Promise<HubFile> {
  const { response } = await ask("HEAD", url, what, bearer);
  const { headers } = response;
  response.destroy();
  const sha256 = /^"?([0-9a-f]{64})"?$/.exec(String(headers["x-linked-etag"] ?? ""))?.[1] ?? null;
  const size = Number(headers["x-linked-size"] ?? Number.NaN);
  return { sha256, size: Number.isSafeInteger(size) ? size : null };
}

async function ask(method: "HEAD" | "GET", url: string, what: string, bearer: string | undefined): Promise<Arrival> {
  const options = { method, sameHost: method === "HEAD", bearer };
  const arrival = await exchange(url, options).catch((error: unknown) => {
    if (error instanceof HostFailure) throw error;
    throw unreachable(what, url, error);
  });
  const { statusCode = 0 } = arrival.response;
  if (statusCode < 400) return arrival;
  arrival.response.destroy();
  const locked = statusCode === 401 || statusCode === 403;
  const next = locked
    ? "accept the model's terms on its page, and name a secret that holds a token (source.secret)"
    : "correct source.hf in the spec";
  throw new HostFailure("fetch_failed", `${what}: ${shown(url)} answered ${statusCode}`, next);
}

const unreachable = (what: string, url: string, error: unknown): HostFailure =>
  new HostFailure(
    "fetch_failed",
    `${what}: ${shown(url)} does not answer: ${reasonOf(error)}`,
    "check that the host can reach the hub",
    error,
  );

/** Larger files a hub keeps outside git, and tells their sha256; a page of a list is smaller, too. */
const smallBytes = 16 * 2 ** 20;
const pageLimit = 50;

const pageSchema = z.array(
  z.looseObject({
    type: z.string(),
    path: z.string(),
    size: z.int().nonnegative(),
    oid: z.string(),
    lfs: z.looseObject({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).nullish(),
  }),
);

/**
 * All files of a repository at a revision, by Hugging Face's `GET /api/models/OWNER/REPO/tree/REVISION?recursive=true`: pages, of which each names
 * the next one in its `link` header.
 * @param url OWNER/REPO/resolve/REVISION at the hub
 * @throws HostFailure `fetch_failed`
 */
export async function listRepository(url: string, what: string, bearer: string | undefined): Promise<ListedFile[]> {
  const tree = url.replace(/\/([^/]+)\/([^/]+)\/resolve\/([^/]+)$/, "/api/models/$1/$2/tree/$3?recursive=true");
  const files: ListedFile[] = [];
  let next: string | undefined = tree;
  for (let pages = 0; next !== undefined && pages < pageLimit; pages++) {
    const page: Whole = await readWhole(next, what, bearer);
    files.push(...listedFiles(page.body, what, next));
    const link = /<([^>]+)>\s*;\s*rel="next"/.exec(page.link)?.[1];
    next = link === undefined ? undefined : new URL(link, next).href;
    // The token is for this hub only.
    if (next !== undefined && new URL(next).origin !== new URL(tree).origin) throw odd(what, tree, "a page elsewhere");
  }
  if (next !== undefined) throw odd(what, tree, `more than ${pageLimit} pages`);
  return files;
}

function listedFiles(body: Buffer, what: string, url: string): ListedFile[] {
  const page = pageSchema.safeParse(jsonOf(body));
  if (!page.success) throw odd(what, url, "no list of files");
  return page.data
    .filter(({ type }) => type !== "directory")
    .map(({ path, size, oid, lfs }) => {
      if (!isInside(path)) throw odd(what, url, `the file name ${JSON.stringify(path)}`);
      return { name: path, size: lfs?.size ?? size, sha256: lfs?.oid ?? null, blob: oid };
    });
}

/** Whatever a hub says, nothing is written outside the model's own folder. */
export const isInside = (name: string): boolean =>
  !/[\p{Cc}\\]/u.test(name) && name.split("/").every((word) => word !== "" && word !== "." && word !== "..");

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return null;
  }
}

const odd = (what: string, url: string, found: string): HostFailure =>
  new HostFailure(
    "fetch_failed",
    `${what}: ${shown(url)}: found ${found}; expected Hugging Face's list of a repository's files`,
    "correct source.hf or source.endpoint in the spec",
  );

/** Right by git's own digest of it. @throws HostFailure `checksum_mismatch`, `fetch_failed` */
export async function readSmallFile(
  base: string,
  { name, size, blob }: ListedFile,
  what: string,
  bearer: string | undefined,
): Promise<Buffer> {
  const url = below(base, name);
  if (size > smallBytes)
    throw new HostFailure(
      "checksum_mismatch",
      `${what}: the hub tells no sha256 of ${name}, which has ${size} bytes`,
      "choose a repository that keeps its large files in LFS",
    );
  const { body } = await readWhole(url, what, bearer);
  const found = createHash("sha1").update(`blob ${body.length}\0`).update(body).digest("hex");
  if (found === blob) return body;
  throw new HostFailure(
    "checksum_mismatch",
    `${what}: ${shown(url)} has git's digest ${found}, but the hub's list says ${blob}`,
    "run up again; nothing was kept",
  );
}

interface Whole {
  readonly body: Buffer;
  readonly link: string;
}

async function readWhole(url: string, what: string, bearer: string | undefined): Promise<Whole> {
  const { response, ended, pour } = await ask("GET", url, what, bearer);
  const pieces: Buffer[] = [];
  let bytes = 0;
  pour((piece) => {
    bytes += piece.length;
    if (bytes > smallBytes) response.destroy(new Error(`more than ${smallBytes} bytes`));
    else pieces.push(piece);
  });
  const broken = await ended;
  if (broken !== null) throw unreachable(what, url, broken);
  return { body: Buffer.concat(pieces), link: String(response.headers.link ?? "") };
}
