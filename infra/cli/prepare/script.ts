/** The steps that are left as one script, which is both what `--print` prints and what runs as root. */
import type { Step } from "./plan.ts";

export function renderScript(steps: readonly Step[]): string {
  const left = steps.filter((step) => !step.alreadyDone);
  const parts = left.map((step, index) =>
    [
      `# ${index + 1}. ${step.why}`,
      `echo "==> ${index + 1}/${left.length} ${step.id}"`,
      // In a shell of its own: what one step sets or changes folder to is not the next one's business.
      `(\n${step.command}\n)`,
    ].join("\n"),
  );
  return [
    "#!/bin/sh",
    "# Prepares this box for lmstack. Run as root: sudo sh FILE, or su -c 'sh FILE'. Running it again does no harm.",
    "set -eu",
    'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"',
    "export DEBIAN_FRONTEND=noninteractive",
    ...parts,
    'echo "==> done"',
    "",
  ].join("\n");
}
