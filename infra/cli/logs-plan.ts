/** Which command shows a log on a host: pure. Prompts are in none of them; where LM Studio was told to write them, its log is not shown. */
import { shellWord } from "../host/shell.ts";
import { dockerLabels, services } from "../spec/host-layout.ts";
import { type HostSpec, proxyRuntime } from "../spec/host-spec.ts";
import { UsageFault } from "./fault.ts";

export const logParts = ["supervisor", "proxy", "lmstudio"] as const;
export type LogPart = (typeof logParts)[number];

export interface LogWishes {
  readonly follow?: boolean | undefined;
  /** The first moment, as ISO 8601; the last lines when absent. */
  readonly since?: string | undefined;
}

const lastLines = 200;
const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A length of time back from now, or a moment. @returns ISO 8601, to the second */
export function sinceMoment(text: string, now: Date): string {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const moment =
    amount === undefined ? Date.parse(text) : now.getTime() - Number(amount) * units[unit as keyof typeof units];
  if (Number.isNaN(moment))
    throw new UsageFault(
      `--since: found ${JSON.stringify(text)}; expected a length of time (90s, 10m, 2h, 3d) or a moment (2027-01-31T12:00:00Z)`,
    );
  return `${new Date(moment).toISOString().slice(0, 19)}Z`;
}

/** POSIX sh, as the owner of LM Studio. */
export function logScript(part: LogPart, spec: HostSpec, stack: string, wishes: LogWishes): string {
  if (part === "lmstudio") return following(lmstudioLog(wishes), wishes);
  if (part === "proxy" && proxyRuntime(spec) === "docker") return following(containerLog(stack, wishes), wishes);
  return following(serviceLog(services[part], wishes), wishes);
}

/** When the operator goes away, stdin ends: then the reader must not stay behind on the host. When the reader ends, so does this, as it did. */
const following = (show: string, { follow }: LogWishes): string =>
  follow
    ? [
        `exec 3<&0; { ${show}\n} & reader=$!`,
        `{ cat <&3; kill "$reader" $(ps -o pid= --ppid "$reader"); } >/dev/null 2>&1 & watcher=$!`,
        `wait "$reader"; code=$?`,
        `kill "$watcher" $(ps -o pid= --ppid "$watcher" 2>/dev/null) 2>/dev/null; exit "$code"`,
      ].join("\n")
    : show;

/** Of systemd, for the system or for the user, else the file that launchd or a detached process writes. */
function serviceLog(name: string, { follow, since }: LogWishes): string {
  const from =
    since === undefined ? `-n ${lastLines}` : `--since ${shellWord(`${since.replace("T", " ").replace("Z", "")} UTC`)}`;
  const journal = `journalctl --no-pager -q -o short-iso ${follow ? "-f " : ""}${from}`;
  return [
    `unit=${name}.service`,
    `if [ -f "/etc/systemd/system/$unit" ]; then`,
    `  if [ -n "$(journalctl -q --no-pager -n 1 -u "$unit" 2>/dev/null)" ]; then ${journal} -u "$unit"`,
    `  else sudo -n ${journal} -u "$unit" 2>/dev/null || { echo "$(id -un) may not read the journal: as root, usermod -aG systemd-journal $(id -un)" >&2; exit 1; }; fi`,
    `elif systemctl --user cat "$unit" >/dev/null 2>&1; then ${journal} --user-unit "$unit"`,
    `else ${fileLog(`"$HOME/.lmstack/logs/${name}.log"`, { follow })}; fi`,
  ].join("\n");
}

/** The last container of the stack, running or not. */
const containerLog = (stack: string, { follow, since }: LogWishes): string =>
  [
    `container="$(docker ps -aq --filter ${shellWord(`label=${dockerLabels.stack}=${stack}`)} | head -n 1)"`,
    `[ -n "$container" ] || { echo "there is no container of the proxy: run lmstack up" >&2; exit 1; }`,
    `docker logs ${follow ? "--follow " : ""}${since === undefined ? `--tail ${lastLines}` : `--since ${since}`} "$container" 2>&1`,
  ].join("\n");

/** Lines that begin with a moment, of the host's own clock: what else is in the file could be the text of a request. */
function lmstudioLog({ follow, since }: LogWishes): string {
  const newest = '"$(ls -t server-logs/*/*.log 2>/dev/null | head -n 1)"';
  const every = "cat $(ls -tr server-logs/*/*.log)";
  const gnu = `date -d ${since} '+%F %T' 2>/dev/null`;
  const bsd = `date -r "$(date -j -u -f '%Y-%m-%dT%H:%M:%SZ' ${since} +%s)" '+%F %T'`;
  return [
    `cd "$HOME/.lmstudio" || exit 1`,
    `if grep -Eq '"logSensitiveData": *true' .internal/http-server-config.json 2>/dev/null; then`,
    `  echo "LM Studio writes prompts into its log (logSensitiveData), so it is not shown: lmstack up switches that off" >&2; exit 1; fi`,
    `[ -n ${newest} ] || { echo "LM Studio has written no log yet" >&2; exit 0; }`,
    since === undefined ? "from=" : `from="$(${gnu} || ${bsd})"`,
    `${since !== undefined && !follow ? every : fileLog(newest, { follow, since })} | awk -v from="$from" '/^\\[[0-9]/ { at = substr($0, 2, 19); sub("T", " ", at); if (at >= from) { print; fflush() } }'`,
  ].join("\n");
}

const fileLog = (file: string, { follow, since }: LogWishes): string =>
  `tail -n ${since === undefined ? lastLines : "+1"}${follow ? " -F" : ""} ${file}`;
