/** `lmstack ci`: the verbs of its jobs. */
import { Command } from "commander";
import type { CiOptions, CiPreviewOptions } from "./ci.ts";
import type { CiDeployOptions } from "./ci-deploy.ts";

export function ciCommand(): Command {
  const ci = new Command("ci").description("what jobs of CI do with a fleet (docs/fleet.md, 'CI')").exitOverride();
  const onCi = (name: string): Command =>
    ci
      .command(name)
      .option("--file <path>", "the inventory", "fleet.yaml")
      .option("--reports <folder>", "where reports are left and found", "reports")
      .option("--json", "print JSON on standard output, and nothing else there");
  const looking = (name: string): Command =>
    onCi(name)
      .option("--list", "only say which hosts, as names for the jobs of a matrix")
      .option("--hosts <names>", "only look at these, and leave their reports")
      .option("--post", "only put the reports together and tell GitHub");
  looking("preview")
    .description("what a change does to which hosts, with what drifted there; as a comment below its pull request")
    .option("--base <revision>", "what the change is against", "HEAD^1")
    .action(async (options: CiPreviewOptions) => (await import("./ci.ts")).preview(options));
  looking("drift")
    .description("which hosts are not as declared; as the one open issue about it")
    .action(async (options: CiOptions) => (await import("./ci.ts")).drift(options));
  onCi("deploy")
    .description("a rollout to the hosts that what was merged concerns; a revision that was taken back is left alone")
    .action(async (options: CiDeployOptions) => (await import("./ci-deploy.ts")).deploy(options));
  onCi("rollout")
    .description("a rollout to every host that is not as declared, of a revision that was taken back, too")
    .action(async (options: CiDeployOptions) => (await import("./ci-deploy.ts")).rollout(options));
  return ci;
}
