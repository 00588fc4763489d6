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
}

/**
 * KillMode=mixed: the supervisor is asked to end, and whatever then still is in the control group (LM Studio's daemon) ends with it, so
 * that no daemon outlives its supervisor. Restart=always without a start limit: a host nobody looks at must come back.
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
    ...(unit.notify ? ["Type=notify", "NotifyAccess=all"] : ["Type=simple"]),
    ...(system ? [`User=${unit.user}`] : []),
    `Environment=${quoted(`HOME=${unit.home}`)}`,
    `WorkingDirectory=${escaped(unit.home)}`,
    `ExecStart=${unit.command.map(quoted).join(" ")}`,
    ...(unit.reloads ? ["ExecReload=/bin/kill -HUP $MAINPID"] : []),
    "Restart=always",
    "RestartSec=2",
    "KillMode=mixed",
    `TimeoutStopSec=${unit.stopSeconds}`,
    "OOMPolicy=continue",
    "LimitNOFILE=65536",
    ...(system ? ["NoNewPrivileges=yes"] : []),
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
