/**
 * What a host promises is asked of it again and again, without anybody's `up`: each model is proved when another instance of it is there, whole when
 * its build was never proved whole, and asked for a token every few minutes while nobody uses the endpoint. What to ask is decided in pure functions.
 */
import { failureOf, type ModelProof, summaryOf } from "../../infra/spec/proof/finding.ts";
import type { Depth } from "../../infra/spec/proof/prove-model.ts";
import { asFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { note } from "../journal.ts";
import { installedVersion } from "../lmstudio/versions.ts";
import { tryLock } from "../lock.ts";
import { isSame, type ProcessMark } from "../process.ts";
import { type KeptProof, keepProof, readKeptProof, type Subject, subjectsOf } from "../prove/kept-proofs.ts";
import { proofLock, proveOnce } from "../prove/prove-once.ts";
import { provedModel } from "../prove/proved-model.ts";
import { isQuiet } from "../prove/quiet.ts";
import { adminSockets } from "../resources/admin-sockets.ts";
import type { Desired } from "./decide.ts";

/** What is known of one model's proofs. Times are milliseconds since the epoch. */
export interface Course {
  readonly proof: KeptProof | null;
  /** When it was last not there: what was proved before is of another instance. */
  readonly goneAt: number;
  /** Proofs and pulses in a row that did not hold. */
  readonly failures: number;
  readonly misses: number;
  /** When it last answered. */
  readonly answeredAt: number;
  readonly notBefore: number;
  /** When it had to be loaded again because it gave no answer. */
  readonly reloads: readonly number[];
}

export const unknownCourse: Course = {
  ...{ proof: null, goneAt: 0, failures: 0, misses: 0, answeredAt: 0, notBefore: 0, reloads: [] },
};

export interface Step {
  readonly subject: Subject;
  readonly depth: Depth;
  /** Only while nobody uses the endpoint. */
  readonly whenQuiet: boolean;
  readonly because: string;
}

const pulseMs = 300_000;
/** A second question decides, so it comes soon. */
const againMs = 15_000;
const hourMs = 3_600_000;
/** A machine under load, or a proxy that was just replaced, explains fewer. */
const indefiniteAtMost = 2;
const reloadsAtMost = 3;

/** `loaded` in their declared order. What nobody has proved yet comes before all that can wait. */
export function whatToProve(loaded: readonly Subject[], courseOf: (id: string) => Course, now: number): Step | null {
  const steps = loaded.flatMap((subject) => {
    const course = courseOf(subject.id);
    const step = course.notBefore > now ? null : dueStep(subject, course, now);
    return step === null ? [] : [step];
  });
  return steps.find(({ whenQuiet }) => !whenQuiet) ?? steps[0] ?? null;
}

function dueStep(subject: Subject, course: Course, now: number): Step | null {
  const proof = currentProof(subject, course);
  if (proof === null)
    return { subject, depth: "thinking", whenQuiet: false, because: "it was loaded and not proved since" };
  const since = Math.max(Date.parse(proof.at), course.answeredAt);
  if (!proof.ok) {
    const retry = Math.min(60_000 * 2 ** Math.max(course.failures - 1, 0), hourMs);
    const whole = proof.depth === "full";
    const depth = whole ? "full" : "thinking";
    return now < since + retry ? null : { subject, depth, whenQuiet: whole, because: "its last proof did not hold" };
  }
  if (proof.whole !== subject.build)
    return { subject, depth: "full", whenQuiet: true, because: "this build of it was never proved whole" };
  if (now < since + (course.misses > 0 ? againMs : pulseMs)) return null;
  return { subject, depth: "pulse", whenQuiet: true, because: "nobody had used it for a while" };
}

/** The last proof, if it is of the instance that is there. */
export function currentProof({ instance }: Subject, { proof, goneAt }: Course): KeptProof | null {
  return proof !== null && proof.instance === instance && Date.parse(proof.at) > goneAt ? proof : null;
}

/** Two pulses in a row without an answer cost the model its instance, a few times in an hour: what that does not help is told and not repeated. */
export function needsReload({ misses, reloads }: Course, now: number): boolean {
  return misses >= 2 && reloads.filter((at) => now - at < hourMs).length < reloadsAtMost;
}

export type Verdict = "holds" | "fails" | "indefinite";

/** `indefinite`: nothing is said of the model, only that no whole answer came. */
export function verdictOf({ ok, findings }: Pick<ModelProof, "ok" | "findings">): Verdict {
  if (ok) return "holds";
  const failed = findings.filter(({ verdict }) => verdict === "failed");
  return failed.every(({ check }) => ["answers", "time", "loaded"].includes(check)) ? "indefinite" : "fails";
}

/** After one more proof or pulse. `told`: it is worth to be kept as what the model was found to be. */
export function courseAfter(
  course: Course,
  depth: Depth,
  verdict: Verdict,
  now: number,
): { readonly course: Course; readonly told: boolean } {
  const { proof, goneAt, reloads } = course;
  if (verdict === "holds")
    return { course: { ...unknownCourse, proof, goneAt, reloads, answeredAt: now }, told: depth !== "pulse" };
  const notBefore = now + againMs;
  if (depth !== "pulse") {
    const failures = course.failures + 1;
    return { course: { ...course, failures, notBefore }, told: verdict === "fails" || failures > indefiniteAtMost };
  }
  // That it thinks, or that another model answered, is for a proof to say: to load it again helps neither.
  if (verdict === "fails") return { course: { ...course, goneAt: now, misses: 0 }, told: false };
  const missed = { ...course, misses: course.misses + 1, notBefore };
  return { course: missed, told: missed.misses >= 2 && !needsReload(missed, now) };
}

/** When there is another instance of the model than before, or none. */
export function courseWithout(course: Course, now: number): Course {
  const reloads = needsReload(course, now) ? [...course.reloads, now].slice(-reloadsAtMost) : course.reloads;
  return { ...unknownCourse, proof: course.proof, goneAt: now, reloads };
}

const quietMs = 60_000;
/** The proxy is not there, or somebody else is proving. */
const elsewhereMs = 5_000;

/** One proof at a time, beside the supervisor's own work. */
export class Proving {
  readonly #host: Host;
  readonly #say: (line: string) => void;
  readonly #signal: AbortSignal;
  /** Something was found: the supervisor looks again. */
  readonly #onFound: () => void;
  readonly #courses = new Map<string, Course>();
  #key = "";
  #subjects: readonly Subject[] = [];
  #running: Promise<void> | null = null;

  constructor(host: Host, say: (line: string) => void, signal: AbortSignal, onFound: () => void) {
    this.#host = host;
    this.#say = say;
    this.#signal = signal;
    this.#onFound = onFound;
  }

  /** By model: what was last found of the instance that is there. */
  get proofs(): Readonly<Record<string, KeptProof>> {
    const current = this.#subjects.map((subject) => [subject.id, currentProof(subject, this.#course(subject.id))]);
    return Object.fromEntries(current.filter(([, proof]) => proof !== null));
  }

  /** Identifiers of models that have to be loaded again. */
  get silent(): readonly string[] {
    return [...this.#courses].flatMap(([id, course]) => (needsReload(course, Date.now()) ? [id] : []));
  }

  /** After each look. `loaded`: identifiers of the models that are there as declared; null when LM Studio did not tell. */
  async look(desired: Desired, loaded: readonly string[] | null, daemon: ProcessMark | null): Promise<void> {
    await this.#name(desired, daemon);
    if (loaded === null) return;
    const now = Date.now();
    for (const { id } of this.#subjects) if (!loaded.includes(id)) this.renewed(id);
    if (this.#running !== null || daemon === null || this.#signal.aborted) return;
    const there = this.#subjects.filter(({ id }) => loaded.includes(id));
    const step = whatToProve(there, (id) => this.#course(id), now);
    if (step === null) return;
    this.#running = this.#carryOut(step, daemon)
      .catch((error: unknown) => {
        if (!this.#signal.aborted) this.#say(`proving ${step.subject.id}: ${asFailure(error).message}`);
        this.#wait(step.subject.id, elsewhereMs);
      })
      .finally(() => {
        this.#running = null;
      });
  }

  /** Another instance of it is there, or will be: what was proved before says nothing of that one. */
  renewed(id: string): void {
    this.#courses.set(id, courseWithout(this.#course(id), Date.now()));
  }

  /** Resolves when nothing runs any more; with the signal that is soon. */
  async settled(): Promise<void> {
    await this.#running;
  }

  #course(id: string): Course {
    return this.#courses.get(id) ?? unknownCourse;
  }

  #wait(id: string, ms: number): void {
    this.#courses.set(id, { ...this.#course(id), notBefore: Date.now() + ms });
  }

  /** What a killed supervisor, or `prove`, has found of the very same instance counts. */
  async #name(desired: Desired, daemon: ProcessMark | null): Promise<void> {
    const key = JSON.stringify([daemon, desired.models.map(({ identifier, digest }) => [identifier, digest])]);
    if (key === this.#key) return;
    const subjects = subjectsOf(desired, daemon, await installedVersion(this.#host));
    for (const { id } of subjects)
      this.#courses.set(id, { ...this.#course(id), proof: await readKeptProof(this.#host, id) });
    this.#key = key;
    this.#subjects = subjects;
  }

  async #carryOut({ subject, depth, whenQuiet, because }: Step, daemon: ProcessMark): Promise<void> {
    const host = this.#host;
    const { id } = subject;
    const [socketPath] = await adminSockets(host);
    if (socketPath === undefined) return this.#wait(id, elsewhereMs);
    // Whoever uses it, proves it.
    if (whenQuiet && !(await isQuiet(host, quietMs))) return this.#wait(id, pulseMs);
    const release = await tryLock(host, proofLock);
    if (release === null) return this.#wait(id, elsewhereMs);
    try {
      const kept = await readKeptProof(host, id);
      const before = this.#course(id);
      if (kept !== null && kept.at !== before.proof?.at) {
        this.#courses.set(id, { ...before, proof: kept });
        return this.#onFound();
      }
      const model = await provedModel(host, id, subject.contextLength);
      const proof = await proveOnce({ socketPath }, model, { depth, signal: this.#signal });
      // What was asked of an instance that went away meanwhile says nothing.
      if (this.#course(id) !== before || !isSame(daemon)) return;
      if (whenQuiet && !proof.ok && !(await isQuiet(host, quietMs))) return this.#wait(id, againMs);
      await this.#found(subject, depth, proof, because);
    } finally {
      await release();
    }
  }

  async #found(subject: Subject, depth: Depth, proof: ModelProof, because: string): Promise<void> {
    const { id } = subject;
    const { course, told } = courseAfter(this.#course(id), depth, verdictOf(proof), Date.now());
    const kept = told ? await keepProof(this.#host, subject, depth, proof) : course.proof;
    this.#courses.set(id, { ...course, proof: kept });
    if (told || !proof.ok) {
      const result = failureOf(proof)?.message ?? summaryOf(proof);
      this.#say(`proving ${id}: ${result}`);
      await note(this.#host, { what: `proving ${id} (${depth})`, why: because, result, ok: proof.ok });
    }
    this.#onFound();
  }
}
