export interface UnitText {
  readonly description: string;
  readonly command: readonly string[];
  readonly home: string;
  /** Absent in a unit of the user's own manager. */
  readonly user?: string;
  readonly notify: boolean;
  /** Folders that must be mounted first; a user manager cannot wait for mounts. */
  readonly mounts: readonly string[];
  readonly stopSeconds: number;
  readonly reloads: boolean;
  /** Command lines that root runs before each start of a unit of the system; their failure does not matter. */
  readonly rootFirst: readonly (readonly string[])[];
}

/**
 * As far as a GPU, code made at run time and a home with everything in it allow, so without MemoryDenyWriteExecute, PrivateDevices, ProtectHome, and
 * ProtectClock, which closes all devices but a few. Whoever owns the daemon runs `lms` too, so /tmp stays shared. Not in a unit of the user's own
 * manager: there each of these either hides the account's groups (docker, render) or forbids setuid, by which the driver makes its devices.
 */
const hardening = [
  "NoNewPrivileges=yes",
  "CapabilityBoundingSet=",
  "ProtectSystem=full",
  "ProtectProc=invisible",
  "ProtectKernelTunables=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelLogs=yes",
  "ProtectControlGroups=yes",
  "ProtectHostname=yes",
  "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "SystemCallArchitectures=native",
  "SystemCallFilter=~@clock @cpu-emulation @module @mount @obsolete @raw-io @reboot @swap",
  "SystemCallErrorNumber=EPERM",
];

/** A supervisor that does not move for so long is killed; SIGABRT, the default, would wait for a stopped process and leave its memory on the disk. */
const watchdog = ["WatchdogSec=30", "WatchdogSignal=SIGKILL"];

/**
 * KillMode=mixed: the supervisor is asked to end, and whatever then still is in the control group (LM Studio's daemon) ends with it, so
 * that no daemon outlives its supervisor. Restart=always without a start limit: a host nobody looks at must come back. The pauses grow to 15 s and no
 * further, because systemd never counts anew; one older than 254 leaves them at 2 s. LimitCORE=0: memory holds prompts.
 */
export function renderSystemdUnit(unit: UnitText): string {
  const system = unit.user !== undefined;
  return `${[
    "[Unit]",
    `Description=${unit.description}`,
    ...(system ? ["After=network-online.target nvidia-persistenced.service", "Wants=network-online.target"] : []),
    ...(system && unit.mounts.length > 0 ? [`RequiresMountsFor=${unit.mounts.map(quoted).join(" ")}`] : []),
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    // It is a child, `systemd-notify`, that tells; LM Studio is not given the socket.
    ...(unit.notify ? ["Type=notify", "NotifyAccess=all", "TimeoutStartSec=300", ...watchdog] : ["Type=simple"]),
    ...(system ? [`User=${unit.user}`] : []),
    `Environment=${quoted(`HOME=${unit.home}`)}`,
    `WorkingDirectory=${escaped(unit.home)}`,
    ...(system ? unit.rootFirst.map((command) => `ExecStartPre=-+${command.map(quoted).join(" ")}`) : []),
    `ExecStart=${unit.command.map(quoted).join(" ")}`,
    ...(unit.reloads ? ["ExecReload=/bin/kill -HUP $MAINPID"] : []),
    "Restart=always",
    "RestartSec=2",
    "RestartSteps=4",
    "RestartMaxDelaySec=15",
    "KillMode=mixed",
    `TimeoutStopSec=${unit.stopSeconds}`,
    "OOMPolicy=continue",
    "LimitNOFILE=65536",
    "LimitCORE=0",
    ...(system ? hardening : []),
    "",
    "[Install]",
    `WantedBy=${system ? "multi-user.target" : "default.target"}`,
  ].join("\n")}\n`;
}

/** `%` and `$` mean something to systemd. */
function escaped(word: string): string {
  return word.replaceAll("%", "%%");
}

function quoted(word: string): string {
  const text = escaped(word).replaceAll("$", "$$$$");
  return /^[\w@%+=:,./$-]+$/.test(text) ? text : `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
