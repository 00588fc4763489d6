/** Whether the place of the state outlives the machine that a CI job runs on. Pure. */
import { homedir } from "node:os";
import { resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

export interface Runner {
  /** A machine of GitHub's, which is thrown away after the job. */
  readonly hosted: boolean;
  /** Folders that go with the job: the checkout, the runner's scratch. */
  readonly passing: readonly string[];
}

export const runnerOf = (env: Readonly<NodeJS.ProcessEnv>, checkout: string): Runner => ({
  hosted: env.RUNNER_ENVIRONMENT === "github-hosted",
  passing: [checkout, env.GITHUB_WORKSPACE, env.RUNNER_TEMP].flatMap((folder) => folder || []),
});

/**
 * @param url as `pulumi whoami` tells it
 * @returns why it must not be used, with what to do; null when it may
 */
export function backendRefusal(url: string, { hosted, passing }: Runner): string | null {
  if (!url.startsWith("file:")) return null;
  const folder = folderOf(url);
  const within = passing.find((one) => folder === resolve(one) || folder.startsWith(`${resolve(one)}${sep}`));
  if (!hosted && within === undefined) return null;
  const where = hosted ? "on a runner of GitHub's" : `in ${within}, which goes with this job`;
  return `state lies in ${url}, ${where}: expected a place that outlives the job: without it no rollout can go back, and nobody sees that another is at work. Next: set the secret PULUMI_BACKEND_URL to s3://…, azblob://…, gs://… or https://api.pulumi.com (docs/fleet.md, 'CI'), or use a runner of your own with file:///FOLDER outside the checkout`;
}

/** `file://~` and `file://.` are Pulumi's own words. */
function folderOf(url: string): string {
  const path = url
    .replace(/^file:(\/\/)?/, "")
    .replace(/\?.*$/, "")
    .replace(/^~/, homedir());
  return /^\/[^/]/.test(path) ? fileURLToPath(`file://${path}`) : resolve(path);
}
