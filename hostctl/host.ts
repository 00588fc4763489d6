import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { hostLayout, launchDaemonsFolder } from "../infra/spec/host-layout.ts";

type LayoutKey = keyof typeof hostLayout;

/** The account and the folders that every part of hostctl works in. */
export interface Host {
  readonly home: string;
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** False for a HOME that is not the account's own: service managers know only the latter. */
  readonly ownHome: boolean;
  readonly platform: NodeJS.Platform;
  /** Where launchd looks for what it starts at boot. */
  readonly launchDaemons: string;
  readonly paths: Readonly<Record<LayoutKey, string>>;
  /** Node and program that a service runs: the stable `current` path, whatever runtime it points to. */
  readonly program: { readonly node: string; readonly hostctl: string; readonly proxy: string };
  readonly say: (line: string) => void;
}

export function hostAt(home: string, say: (line: string) => void): Host {
  const account = userInfo();
  const paths = Object.fromEntries(Object.entries(hostLayout).map(([key, path]) => [key, join(home, path)])) as Record<
    LayoutKey,
    string
  >;
  return {
    home,
    user: account.username,
    uid: account.uid,
    gid: account.gid,
    ownHome: account.homedir === home,
    platform: process.platform,
    launchDaemons: launchDaemonsFolder,
    paths,
    program: {
      node: join(paths.current, "node"),
      hostctl: join(paths.current, "hostctl.mjs"),
      proxy: join(paths.current, "proxy.mjs"),
    },
    say,
  };
}

export function thisHost(): Host {
  return hostAt(homedir(), progressTo(process.stderr));
}

/**
 * Progress for people: short lines, none twice in a row. A reader that went away (the operator's ssh was killed) must not stop the work
 * half-way, so write errors are swallowed.
 */
export function progressTo(stream: NodeJS.WritableStream): (line: string) => void {
  let last = "";
  stream.on("error", () => {});
  return (line) => {
    if (line === last) return;
    last = line;
    stream.write(`${line.slice(0, 400)}\n`);
  };
}

/** At most one line each `everyMs`: for percentages and waits. */
export function paced(say: (line: string) => void, everyMs = 3000): (line: string) => void {
  let next = 0;
  return (line) => {
    const now = Date.now();
    if (now < next) return;
    next = now + everyMs;
    say(line);
  };
}
