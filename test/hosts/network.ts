/** The bridge network of the test hosts. Addresses are chosen here, not by Docker, so that a reboot keeps them. */
import { createHash } from "node:crypto";
import { networkInterfaces } from "node:os";
import { dockerRun, label } from "./docker.ts";

const network = "lmstack-test";

/** Tried in order: a machine may use some of them already. */
const subnets = ["10.213.77.0/24", "10.214.77.0/24", "172.29.77.0/24", "192.168.213.0/24"] as const;

/** @returns the network's name and its subnet's first three bytes */
export async function ensureNetwork(): Promise<{ readonly network: string; readonly prefix: string }> {
  let subnet = await currentSubnet();
  const refusals: string[] = [];
  const addresses = Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));
  for (const candidate of subnets) {
    if (subnet !== null) break;
    // A bridge that an earlier Docker left behind would swallow what is meant for this one, and Docker does not look.
    if (addresses.some((address) => address.startsWith(prefixOf(candidate)))) {
      refusals.push(`${candidate} has an interface on this machine already`);
      continue;
    }
    try {
      await dockerRun(["network", "create", "--label", `${label}=network`, "--subnet", candidate, network]);
      subnet = candidate;
    } catch (error) {
      // Taken by something else, or made by another test file a moment ago.
      refusals.push((error as Error).message);
      subnet = await currentSubnet();
    }
  }
  if (subnet === null) throw new Error(`No subnet is free for the test hosts' network:\n${refusals.join("\n")}`);
  return { network, prefix: prefixOf(subnet) };
}

/** Leaves it where another run has just started a host on it. */
export async function removeNetwork(): Promise<void> {
  try {
    await dockerRun(["network", "rm", network]);
  } catch (error) {
    if (!/not found|no such network|active endpoints/i.test((error as Error).message)) throw error;
  }
}

const prefixOf = (subnet: string): string => subnet.slice(0, subnet.lastIndexOf(".") + 1);

async function currentSubnet(): Promise<string | null> {
  try {
    return await dockerRun(["network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network]);
  } catch {
    return null;
  }
}

/** Addresses to try for a host, in order: the same name begins at the same place, so that parallel starts seldom meet. */
export function addressesFor(name: string, prefix: string): string[] {
  const first = createHash("sha256").update(name).digest().readUInt16BE(0);
  return Array.from({ length: 240 }, (_, index) => `${prefix}${10 + ((first + index) % 240)}`);
}
