/** Which engine a CUDA host runs when the spec names none: LM Studio may leave the CPU's selected although CUDA's is there. */
import type { Engine, EngineSurvey } from "./lms.ts";

/** Null when none of CUDA's fits. The selected one stays if it is one of them; else CUDA 12 before older ones, newer before older. */
export function cudaEngine({ installed, judged }: EngineSurvey): Engine | null {
  const fitting = judged
    .filter(({ name, compatibility }) => /cuda/.test(name) && compatibility?.status === "compatible")
    .map(({ name, version }) => ({ name, version }));
  const selected = fitting.find(({ name, version }) =>
    installed.some(({ id, selected }) => selected && id === `${name}@${version}`),
  );
  return selected ?? fitting.sort(byPreference)[0] ?? null;
}

function byPreference(a: Engine, b: Engine): number {
  const modern = ({ name }: Engine) => (name.includes("cuda12") ? 0 : 1);
  return modern(a) - modern(b) || b.version.localeCompare(a.version, "en", { numeric: true });
}
