/** Testcontainers' reaper removes what a killed run leaves. Where its image cannot be had, the next run does that by label. */
import { execa } from "execa";

/** Label of everything that the container tests start; its value is the process that did. */
export const label = "dev.lmstack.container-test";

const reaperImage = process.env.RYUK_CONTAINER_IMAGE ?? "testcontainers/ryuk:0.14.0";

/** Has to run before the first container is started: Testcontainers looks at the switch then. */
export async function prepareReaper(): Promise<void> {
  if (!(await obtainable())) process.env.TESTCONTAINERS_RYUK_DISABLED = "true";
  await removeLeftovers();
}

/** Containers of processes that are gone, and of this one. */
export async function removeLeftovers(): Promise<void> {
  const format = `{{.ID}} {{.Label "${label}"}}`;
  const { stdout } = await execa("docker", ["ps", "--all", "--filter", `label=${label}`, "--format", format]);
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    const [id = "", pid = "0"] = line.split(" ");
    if (pid === String(process.pid) || !isAlive(Number(pid)))
      await execa("docker", ["rm", "--force", "--volumes", id], { reject: false });
  }
}

async function obtainable(): Promise<boolean> {
  const present = await execa("docker", ["image", "inspect", reaperImage], { reject: false });
  if (present.exitCode === 0) return true;
  return (await execa("docker", ["pull", "--quiet", reaperImage], { reject: false, timeout: 5_000 })).exitCode === 0;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
