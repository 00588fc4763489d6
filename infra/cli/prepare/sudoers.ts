/** The sudoers drop-in of a prepared host: every command that hostctl runs as root (`sudo -n`), and nothing else. */
import { launchDaemonsFolder, launchdLabel, services, sysctlFile, systemdUnitFolder } from "../../spec/host-layout.ts";

export const sudoersPath = "/etc/sudoers.d/lmstack";

const unitVerbs = ["enable", "disable", "start", "stop", "restart", "reset-failed"] as const;

/**
 * Commands with their arguments, as sudo compares them: one unit a call, no further flags.
 *
 * Unit names are written out because sudo joins the arguments before it matches a wildcard: `stop lmstack-*.service` would also allow
 * `stop lmstack- ssh.service`.
 */
export function rootCommands(kernel: string = "Linux"): readonly string[] {
  if (kernel === "Darwin") return macCommands();
  const units = Object.values(services).map((name) => `${name}.service`);
  const files = [...units.map((unit) => `${systemdUnitFolder}/${unit}`), sysctlFile];
  return [
    ...files.map((file) => `/usr/bin/install -m 0644 /dev/stdin ${file}`),
    ...files.map((file) => `/usr/bin/rm -f ${file}`),
    `/usr/sbin/sysctl -q -p ${sysctlFile}`,
    "/usr/bin/systemctl daemon-reload",
    ...units.flatMap((unit) => unitVerbs.map((verb) => `/usr/bin/systemctl ${verb} ${unit}`)),
  ];
}

function macCommands(): readonly string[] {
  return Object.values(services).flatMap((name) => {
    const label = launchdLabel(name);
    const file = `${launchDaemonsFolder}/${label}.plist`;
    return [
      `/usr/bin/tee ${file}`,
      `/bin/chmod 0644 ${file}`,
      `/bin/rm -f ${file}`,
      `/bin/launchctl bootstrap system ${file}`,
      ...["bootout", "enable"].map((verb) => `/bin/launchctl ${verb} system/${label}`),
    ];
  });
}

/** The shell through which another user who connects becomes the owner of LM Studio; `on-host.sh` and `shell.ts` call it by this very path. */
const shell = "/bin/sh";

/**
 * Content of the drop-in for `user`, the owner of LM Studio. `!requiretty` because nothing here has a terminal.
 * @param login who connects over SSH, when that is somebody else: may become the owner, nobody further
 */
export function sudoersDropIn(user: string, login?: string, kernel?: string): string {
  const lines = rootCommands(kernel).map((command) => `${user} ALL=(root) NOPASSWD: ${command}`);
  return [
    "# Written by `lmstack host prepare`: what hostctl may do as root without a password.",
    `Defaults:${user} !requiretty`,
    ...lines,
    ...(login === undefined ? [] : [`Defaults:${login} !requiretty`, `${login} ALL=(${user}) NOPASSWD: ${shell}`]),
    "",
  ].join("\n");
}

/**
 * True when a `sudo -l` of the user names each of the commands. A rule for ALL does not count: it may go once the box is prepared, the
 * drop-in stays.
 */
export function grantsAll(listing: string, kernel?: string): boolean {
  const named = new Set(
    listing
      .replaceAll(/\s+/g, " ")
      .split(/,|\([^)]*\)|NOPASSWD:/)
      .map((entry) => entry.trim()),
  );
  return rootCommands(kernel).every((command) => named.has(command));
}

/** True when a `sudo -l` of the one who connects names the owner's shell, with whatever arguments. */
export const handsOver = (listing: string, owner: string): boolean =>
  listing
    .replaceAll(/\s+/g, " ")
    .split(`(${owner}) NOPASSWD: `)
    .slice(1)
    .some((rest) => rest.startsWith(shell) && /^ *($|,|\()/.test(rest.slice(shell.length)));
