/** What launchctl's words and exit codes mean. Its manual page says that the output of `print` is no API: only state and pid are read from it. */

/** As `launchctl error CODE` names them. */
export const launchctlCodes = {
  noSuchProcess: 3,
  /** Of `bootstrap`: the job is loaded already, or its file is wrong. */
  inputOutput: 5,
  /** Of `bootout`: the job is asked to end and has not yet. */
  nowInProgress: 36,
  /** Of `bootstrap`: the job is loaded, or an earlier `bootout` of it has not come to its end. */
  alreadyInProgress: 37,
  notFound: 113,
  disabled: 119,
  /** Of `bootstrap` into `gui/UID` while nobody is logged in there. */
  noSuchDomain: 125,
} as const;

export interface LaunchdJob {
  /** It runs, or launchd is about to start it (again). */
  readonly active: boolean;
  readonly pid: number | null;
}

/** Only the job's own lines, which begin with one tab: the blocks within say `state` and `pid` of other things. */
export function parsePrint(text: string): LaunchdJob {
  const state = /^\tstate = (.+)$/m.exec(text)?.[1];
  const pid = Number(/^\tpid = (\d+)$/m.exec(text)?.[1]) || null;
  return { active: state !== undefined && state !== "not running", pid };
}

/** From `print-disabled DOMAIN`: `"LABEL" => disabled`, `true` on older systems. */
export function isDisabled(text: string, label: string): boolean {
  const line = text.split("\n").find((one) => one.includes(`"${label}"`));
  return line !== undefined && /=> *(disabled|true)\b/.test(line);
}
