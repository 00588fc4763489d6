/** The commands that tell about a Mac, with the output that their manual pages and administrators show. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { failed, printed, type Reply } from "./reply.ts";

export interface MacState {
  readonly macos: string;
  readonly machine: string;
  readonly sysctl: Readonly<Record<string, string>>;
  readonly fileVault: boolean;
  /** As `pmset -g` prints them, words in parentheses included. */
  readonly power: Readonly<Record<string, string>>;
  readonly firewall: { readonly state: 0 | 1 | 2; readonly apps: Readonly<Record<string, "allow" | "block">> };
  readonly autoLoginUser: string | null;
}

/** A Mac Studio that is set up to run unattended. */
export const wellKept: MacState = {
  macos: "15.6.1",
  machine: "arm64",
  sysctl: { "hw.memsize": String(128 * 2 ** 30), "iogpu.wired_limit_mb": "0" },
  fileVault: false,
  power: { "Sleep On Power Button": "1", sleep: "0 (sleep prevented by powerd)", autorestart: "1", womp: "1" },
  firewall: { state: 0, apps: {} },
  autoLoginUser: null,
};

type Tool = (words: readonly string[], state: MacState) => Reply;

export const tools: Readonly<Record<string, Tool>> = {
  uname: (words, { machine }) => printed(words[0] === "-m" ? machine : "Darwin"),
  sw_vers: (words, { macos }) =>
    printed(words[0] === "-productVersion" ? macos : `ProductName:\t\tmacOS\nProductVersion:\t\t${macos}`),
  sysctl: (words, { sysctl }) => {
    const name = words.at(-1) ?? "";
    const value = sysctl[name];
    if (value === undefined) return failed(1, `sysctl: unknown oid '${name}'`);
    return printed(words[0] === "-n" ? value : `${name}: ${value}`);
  },
  fdesetup: (words, { fileVault }) =>
    words.join(" ") === "status"
      ? printed(`FileVault is ${fileVault ? "On" : "Off"}.`)
      : failed(1, "fdesetup: Error: Authentication error."),
  pmset: (_, { power }) => {
    const lines = Object.entries(power).map(([key, value]) => ` ${key.padEnd(20)} ${value}`);
    return printed(["System-wide power settings:", "Currently in use:", ...lines].join("\n"));
  },
  socketfilterfw: (words, { firewall: { state, apps } }) => {
    if (words[0] === "--getglobalstate")
      return printed(`Firewall is ${state === 0 ? "disabled" : "enabled"}. (State = ${state})`);
    if (words[0] !== "--listapps") return failed(1, "usage: socketfilterfw [--help]");
    const rules = Object.entries(apps).map(([path, rule], index) => {
      const word = rule === "allow" ? "Allow" : "Block";
      return `${index + 1} : ${path} \n             (${word} incoming connections)\n`;
    });
    return printed([`Total number of apps = ${rules.length} `, ...rules].join("\n"));
  },
  defaults: (words, { autoLoginUser }) =>
    words.join(" ") === "read /Library/Preferences/com.apple.loginwindow autoLoginUser" && autoLoginUser !== null
      ? printed(autoLoginUser)
      : failed(1, `The domain/default pair of (${words.slice(1).join(", ")}) does not exist`),
  lsof: (words) => {
    const port = Number(/-iTCP:(\d+)/.exec(words.join(" "))?.[1]);
    const found = listening(port);
    return found.length === 0
      ? { code: 1, stdout: "", stderr: "" }
      : printed(found.map(({ pid, address }) => `p${pid}\nf3\nn${address}:${port}`).join("\n"));
  },
};

export const answerOf = (name: string, words: readonly string[], state: MacState): Reply =>
  tools[name]?.(words, state) ?? failed(127, `${name}: command not found`);

/** From this machine's own tables: what listens is real. */
function listening(port: number): { pid: number; address: string }[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return ["/proc/net/tcp", "/proc/net/tcp6"]
    .flatMap((path) => readFileSync(path, "utf8").split("\n"))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A" && fields[1]?.endsWith(suffix))
    .map((fields) => ({
      pid: ownerOf(fields[9] ?? ""),
      address: /^0+:/.test(fields[1] ?? "") ? "*" : "127.0.0.1",
    }));
}

function ownerOf(inode: string): number {
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const held = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      if (held.includes(`socket:[${inode}]`)) return Number(pid);
    } catch {
      // Not ours, or gone.
    }
  }
  return 0;
}
