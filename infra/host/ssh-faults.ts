/** What ssh says on stderr, in words that name the host and the next step. */
import type { Fault } from "../spec/faults.ts";
import type { RemoteConnection } from "../spec/host-spec.ts";

export interface SshFault extends Fault {
  /** The host may merely be away: `preview` goes on with what it knew last. */
  readonly unreachable: boolean;
}

export function sshFault(stderr: string, connection: RemoteConnection): SshFault {
  const { host, port, user, proxyJump } = connection;
  const where = `host ${user}@${host}:${port}`;
  const via = proxyJump ? ` through ${proxyJump}` : "";
  const last = stderr.trim().split("\n").at(-1)?.trim() || "no word from ssh";
  const fault = (found: string, expected: string, next: string, unreachable = false): SshFault => ({
    where,
    found,
    expected,
    next,
    unreachable,
  });
  const byHand = `ssh -p ${port} ${proxyJump ? `-J ${proxyJump} ` : ""}${user}@${host}`;
  const keyWanted = connection.hostKey.split(" ").slice(0, 2).join(" ");

  if (
    /host identification has changed|host key verification failed|no matching host key type|No .* host key is known/i.test(
      stderr,
    )
  ) {
    const shown = /fingerprint for the (\S+) key sent by the remote host is\s+(\S+?)\.?\s/.exec(stderr);
    return fault(
      shown ? `a host key with fingerprint ${shown[2]} (${shown[1]})` : "another host key",
      `the key in connection.hostKey, ${keyWanted.slice(0, 44)}…`,
      `if the host was reinstalled, run \`ssh-keyscan -p ${port} ${host}\`, compare the key on the host's own console, and correct connection.hostKey; else somebody may be in between`,
    );
  }
  if (/permission denied|too many authentication failures/i.test(stderr)) {
    return fault(
      `that no key was accepted (${last})`,
      `that ${user} may log in with a key from your agent, your ~/.ssh/config, or LMSTACK_SSH_IDENTITY`,
      `run \`${byHand} true\`; \`ssh-copy-id\` puts your key there`,
    );
  }
  if (/could not resolve hostname/i.test(stderr)) {
    return fault("a name that does not resolve", "a host name or address", "correct connection.host", true);
  }
  if (/connection refused/i.test(stderr)) {
    return fault(
      `that port ${port} refuses connections`,
      `an ssh server on port ${port}`,
      "start sshd there, or correct connection.port",
      true,
    );
  }
  if (/timed out|timeout|no route|unreachable|connection (closed|reset)|broken pipe/i.test(stderr)) {
    return fault(`no answer${via} (${last})`, "a host that answers to ssh", `switch it on, or try \`${byHand}\``, true);
  }
  if (/sudo: a password is required|not allowed to execute|may not run sudo/i.test(stderr)) {
    return fault(
      `that sudo refused (${last})`,
      "sudo -n as lmstudio.user",
      "run `npx lmstack host prepare --stack` with this stack's name, or drop lmstudio.user",
    );
  }
  return fault(`that the ssh call failed${via} (${last})`, "a working ssh login", `try \`${byHand} true\``, true);
}
