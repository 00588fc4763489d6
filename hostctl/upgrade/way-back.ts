/** Back to the version that served before a trial, whoever finds that the trial is over: who began it, the next `up`, or the supervisor. */
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { pruneVersions } from "../lmstudio/installation.ts";
import { changeInstalled, readInstalled } from "../lmstudio/installed.ts";
import { daemonDown } from "../lmstudio/lms.ts";
import { dropTarballs } from "../lmstudio/tarball.ts";
import { installedVersion } from "../lmstudio/versions.ts";
import { endProcess, isSame } from "../process.ts";
import { storeLmstudio } from "../supervisor/desired.ts";
import { keptDaemon } from "../supervisor/notebook.ts";
import { dropFiles, restoreFiles } from "./kept-files.ts";

/** Call with the lock held and the supervisor out of the way. May be called again after a kill at any moment. */
export async function goBack(host: Host): Promise<void> {
  const installed = await readInstalled(host);
  if (installed?.trial === null || installed?.trial === undefined) return;
  const { from, to, before } = installed.trial;
  // The newer `lms` may be broken: the older one, which is back after the next step, is asked as well.
  await daemonDown(host).catch(() => {});
  await restoreFiles(host);
  await daemonDown(host);
  // One that hangs answers neither.
  const { daemon } = await keptDaemon(host);
  if (isSame(daemon)) await endProcess(daemon, 3000);
  const found = await installedVersion(host);
  if (found !== from) {
    throw new HostFailure(
      "daemon_failed",
      `the way back from LM Studio ${to} to ${from} is not there: ${found ?? "nothing"} would start`,
      `look at ~/.lmstudio/llmster on the host; \`pulumi destroy\` and \`pulumi up\` install ${from} anew`,
    );
  }
  await storeLmstudio(host, before);
  await pruneVersions(
    host,
    installed.versions.map(({ version }) => version).filter((version) => version !== to),
  );
  await changeInstalled(host, () => ({ trial: null }));
  await dropFiles(host);
  await dropTarballs(host);
}
