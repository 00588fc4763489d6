/** Whether systemd would end a process together with this supervisor. */
import { readText } from "../atomic-file.ts";

/** `unknown` where no service manager keeps control groups. */
export type ControlGroup = "ours" | "another" | "unknown";

export async function controlGroupOf(pid: number): Promise<ControlGroup> {
  const [own, other] = await Promise.all(["self", pid].map((name) => readText(`/proc/${name}/cgroup`)));
  return compareGroups(own ?? "", other ?? "");
}

/** Contents of two `/proc/PID/cgroup`. Only a service's own group tells: a session's holds whatever a person started in it. */
export function compareGroups(own: string, other: string): ControlGroup {
  if (!/lmstack-[^/]+\.service\/?$/m.test(own)) return "unknown";
  return own.trim() === other.trim() ? "ours" : "another";
}
