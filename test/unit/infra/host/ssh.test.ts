import { expect, test } from "vitest";
import { identityLines, renderKnownHosts, renderSshConfig } from "../../../../infra/host/ssh-config.ts";
import { sshFault } from "../../../../infra/host/ssh-faults.ts";
import type { RemoteConnection } from "../../../../infra/spec/host-spec.ts";
import { hostKey } from "../spec/example.ts";

const connection: RemoteConnection = {
  host: "10.0.0.5",
  port: 2222,
  user: "gpu",
  hostKey: `${hostKey} comment`,
  become: "sudo",
};
const places = {
  knownHosts: "/clone with space/known_hosts",
  controlFolder: "/tmp/lmstack-1",
  identity: ["IdentityFile /k"],
};

test("the configuration pins the key, asks nobody, and shares connections that the program opened", () => {
  expect(renderSshConfig(connection, places).replace(/[0-9a-f]{16}$/m, "TERMS")).toMatchInlineSnapshot(`
    "# Written by lmstack on each run; edits are lost.
    Host lmstack
      HostName 10.0.0.5
      Port 2222
      User gpu
      HostKeyAlias lmstack
      UserKnownHostsFile "/clone with space/known_hosts"
      GlobalKnownHostsFile /dev/null
      HostKeyAlgorithms ssh-ed25519
      StrictHostKeyChecking yes
      UpdateHostKeys no
      BatchMode yes
      LogLevel ERROR
      IdentityFile /k
      ConnectTimeout 10
      ServerAliveInterval 15
      ServerAliveCountMax 4
      ControlMaster no
      ControlPath /tmp/lmstack-1/TERMS
    "
  `);
  expect(renderKnownHosts(connection)).toBe(`lmstack ${hostKey}\n`);
});

const socket = (changed: Partial<RemoteConnection>) =>
  /ControlPath (\S+)/.exec(renderSshConfig({ ...connection, ...changed }, places))?.[1];

test("a connection opened under other terms is never shared", () => {
  const all = [{}, { port: 22 }, { user: "x" }, { hostKey: hostKey.replace("EuF", "EuG") }, { proxyJump: "b" }].map(
    socket,
  );
  expect(new Set(all).size).toBe(all.length);
  expect(socket({})).toBe(socket({}));
});

test("jump hosts are resolved by the operator's own ssh", () => {
  const jump = (proxyJump: string) =>
    /ProxyCommand (.*)/.exec(renderSshConfig({ ...connection, proxyJump }, places))?.[1];
  expect(jump("bastion")).toBe("ssh -o BatchMode=yes -o ConnectTimeout=10 -W [%h]:%p bastion");
  expect(jump("a,me@b:2200")).toBe("ssh -o BatchMode=yes -o ConnectTimeout=10 -J a -W [%h]:%p -p 2200 me@b");
});

test("only what says who the operator is comes from the operator's configuration", () => {
  expect(
    identityLines("user root\nidentityfile ~/.ssh/my key\nidentityagent none\nproxycommand x\nidentitiesonly yes"),
  ).toEqual(['identityfile "~/.ssh/my key"', "identitiesonly yes"]);
});

test.each([
  [
    "@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\nThe fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc.\nHost key verification failed.",
    /fingerprint SHA256:abc \(ED25519\)/,
    false,
  ],
  ["gpu@10.0.0.5: Permission denied (publickey).", /no key was accepted/, false],
  ["ssh: connect to host 10.0.0.5 port 2222: Connection refused", /port 2222 refuses/, true],
  ["ssh: connect to host 10.0.0.5 port 2222: Connection timed out", /no answer/, true],
  ["ssh: Could not resolve hostname x: Name or service not known", /does not resolve/, true],
  ["", /no word from ssh/, true],
])("ssh's words become ours: %s", (stderr, word, unreachable) => {
  const fault = sshFault(stderr, connection);
  expect(fault.found).toMatch(word);
  expect(fault.where).toBe("host gpu@10.0.0.5:2222");
  expect(fault.unreachable).toBe(unreachable);
});
