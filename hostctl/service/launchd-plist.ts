import { build } from "plist";

export interface PlistText {
  readonly label: string;
  readonly command: readonly string[];
  readonly home: string;
  readonly log: string;
  /** Set for a LaunchDaemon, which runs before anybody logs in; absent for a LaunchAgent of the user. */
  readonly user?: string;
  /** Seconds between SIGTERM and SIGKILL. */
  readonly exitSeconds: number;
}

export function renderLaunchdPlist(text: PlistText): string {
  const body = build({
    Label: text.label,
    ...(text.user === undefined ? {} : { UserName: text.user }),
    ProgramArguments: [...text.command],
    EnvironmentVariables: { HOME: text.home, PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
    WorkingDirectory: text.home,
    RunAtLoad: true,
    KeepAlive: true,
    ThrottleInterval: 2,
    ExitTimeOut: text.exitSeconds,
    // launchd ends the whole process group with the job, and so the daemon with its supervisor.
    AbandonProcessGroup: false,
    StandardOutPath: text.log,
    StandardErrorPath: text.log,
  });
  return `${body}\n`;
}
