/** Whether a host is as it has to be, and whether a client was answered rightly: pure, so that the judge itself is tested. */

export interface Snapshot {
  /** Pids of LM Studio's daemons, of supervisors and of proxies. */
  readonly daemons: readonly number[];
  readonly supervisors: readonly number[];
  readonly proxies: readonly number[];
  /** Command lines of calls of `lms` and hostctl that have been running for longer than any does. */
  readonly leftBehind: readonly string[];
  /** States of the proxy's containers, as Docker names them. */
  readonly containers: readonly string[];
  /** `identifier@context` of what LM Studio has loaded; null when it does not answer. */
  readonly instances: readonly string[] | null;
  /** What the supervisor reports; null when there is no report. */
  readonly report: {
    readonly pid: number;
    readonly lmstudio: { readonly state: string; readonly reason?: string } | null;
    readonly models: Readonly<Record<string, { readonly state: string; readonly reason?: string }>>;
  } | null;
  /** Why a model gave no proved token through the proxy when it was asked; absent when it did. */
  readonly unproved: Readonly<Record<string, string>>;
}

export interface Expected {
  /** `identifier@context` */
  readonly models: readonly string[];
  /** Identifier of the model that has to be quarantined; `everything` for LM Studio as a whole. */
  readonly quarantined: string | null;
}

export const everything = "*";

/** What is not as it has to be; empty is the promise. */
export function faultsOf(snapshot: Snapshot, { models, quarantined }: Expected): string[] {
  const { daemons, supervisors, proxies, leftBehind, containers, instances, report, unproved } = snapshot;
  const faults: string[] = [];
  const one = (what: string, pids: readonly number[]) => {
    if (pids.length !== 1) faults.push(`${pids.length} ${what} (${pids.join(", ") || "none"})`);
  };
  one("supervisors", supervisors);
  one("proxies", proxies);
  if (leftBehind.length > 0) faults.push(`left behind: ${leftBehind.join("; ")}`);
  if (containers.join() !== "running") faults.push(`containers of the proxy: ${containers.join(", ") || "none"}`);
  if (quarantined === everything) return [...faults, ...atRest(snapshot)];
  one("daemons", daemons);
  const wanted = models.filter((model) => nameOf(model) !== quarantined);
  const [found, expected] = [[...(instances ?? [])].sort().join(", "), [...wanted].sort().join(", ")];
  if (instances === null) faults.push("LM Studio does not answer");
  else if (found !== expected) faults.push(`loaded: ${found || "nothing"}; expected ${expected || "nothing"}`);
  faults.push(...reported(report, supervisors, models, quarantined));
  for (const model of wanted.map(nameOf))
    if (unproved[model] !== undefined) faults.push(`${model} gave no proved token: ${unproved[model]}`);
  return faults;
}

/** LM Studio as a whole is quarantined: it is left alone, and its report says so. */
function atRest({ daemons, report, supervisors }: Snapshot): string[] {
  const faults = daemons.length > 0 ? [`a daemon of what is quarantined runs (${daemons.join(", ")})`] : [];
  const { state = "unknown", reason = "" } = report?.lmstudio ?? {};
  if (state !== "failed" || !/quarantined/.test(reason))
    faults.push(`LM Studio is reported ${state}, expected failed and quarantined: ${reason || "no reason"}`);
  if (report !== null && !supervisors.includes(report.pid)) faults.push("the report is of a supervisor that has gone");
  return faults;
}

function reported(
  report: Snapshot["report"],
  supervisors: readonly number[],
  models: readonly string[],
  quarantined: string | null,
): string[] {
  if (report === null) return ["the supervisor reports nothing"];
  if (!supervisors.includes(report.pid)) return ["the report is of a supervisor that has gone"];
  const faults: string[] = [];
  if (report.lmstudio?.state !== "ready") faults.push(`LM Studio is reported ${report.lmstudio?.state ?? "unknown"}`);
  for (const model of models.map(nameOf)) {
    const { state = "unknown", reason = "" } = report.models[model] ?? {};
    const wanted = model === quarantined ? "failed" : "ready";
    if (state !== wanted) faults.push(`${model} is reported ${state}, expected ${wanted}`);
    else if (wanted === "failed" && reason === "") faults.push(`${model} is reported failed without a reason`);
  }
  return faults;
}

const nameOf = (model: string): string => model.slice(0, model.lastIndexOf("@"));

/** How a request ended, as its client saw it. */
export interface Reply {
  readonly model: string;
  /** Milliseconds since the epoch. */
  readonly began: number;
  readonly ended: number;
  /** 0: no status came. */
  readonly status: number;
  /** The answer so far. */
  readonly text: string;
  readonly thoughts: number;
  /** `complete`: the dialect's own end. `failed`: an end that tells of a failure in words. `cut`: the connection broke or ended without either. */
  readonly end: "complete" | "failed" | "cut";
  /** The error as it came. */
  readonly words: string;
}

/** What is wrong with a reply; null when it is the answer, or an honest failure. `right` is what a whole answer says. */
export function wrongIn(reply: Reply, right: string, mayBreak: boolean): string | null {
  const { status, text, thoughts, end, words } = reply;
  if (thoughts > 0) return `it thought: ${thoughts} tokens`;
  if (end === "complete")
    return text === right ? null : `a whole answer that is wrong: ${JSON.stringify(text.slice(-80))}`;
  if (!right.startsWith(text)) return `the beginning of an answer that is wrong: ${JSON.stringify(text.slice(-80))}`;
  if (end === "cut") return mayBreak ? null : `cut after ${text.length} characters with status ${status}: ${words}`;
  // The proxy is up and the request right: whatever happens to LM Studio, it is never the client's fault.
  if (status >= 400 && status < 500) return `blamed on the client: ${status} ${words}`;
  return words === "" ? "a failure without a word" : null;
}
