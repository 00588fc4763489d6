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

/** Keys as launchd.plist(5) describes them, in an order of our own: the same input gives the same bytes. */
export function renderLaunchdPlist(text: PlistText): string {
  const body = build({
    Label: text.label,
    ...(text.user === undefined ? {} : { UserName: text.user }),
    ProgramArguments: [...text.command],
    // launchd gives a job neither a shell's environment nor HOME.
    EnvironmentVariables: { HOME: text.home, PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
    WorkingDirectory: text.home,
    RunAtLoad: true,
    KeepAlive: true,
    ThrottleInterval: 2,
    ExitTimeOut: text.exitSeconds,
    // The default, Standard, lets the system slow processor and disk down for a job that nobody looks at.
    ProcessType: "Interactive",
    // launchd's own limit is 256 open files.
    SoftResourceLimits: { NumberOfFiles: 65536 },
    HardResourceLimits: { NumberOfFiles: 65536 },
    // The default, written down because it matters: what a job leaves in its process group ends with it.
    AbandonProcessGroup: false,
    StandardOutPath: text.log,
    StandardErrorPath: text.log,
  });
  return `${body}\n`;
}
