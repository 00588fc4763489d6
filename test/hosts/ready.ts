/** When a test host is ready, and what to say when it does not become so. */
import { execa } from "execa";

/** Milliseconds; a boot takes 3 to 10 s on two cores. */
const patience = 90_000;

/** systemd itself waits for its jobs, sshd and dockerd among them; degraded is a host on which an unneeded unit failed. */
const wait = `
until [ -S /run/systemd/private ]; do sleep 0.1; done
state="$(systemctl is-system-running --wait)"
case "$state" in running|degraded) ;; *) echo "systemd is $state"; exit 1 ;; esac
for unit in ssh.service $([ -x /usr/sbin/dockerd ] && echo docker.service); do
  systemctl is-active --quiet "$unit" || { echo "$unit is $(systemctl is-active "$unit")"; exit 1; }
done
until bash -c 'exec 3<>/dev/tcp/127.0.0.1/22 && read -t 2 line <&3' 2>/dev/null; do sleep 0.1; done
cut -d" " -f1,2 /etc/ssh/ssh_host_ed25519_key.pub
`;

/** @throws with the state and the last lines of the journal */
export async function waitUntilReady(container: string): Promise<{ readonly hostKey: string }> {
  const result = await execa("docker", ["exec", container, "bash", "-c", wait], { reject: false, timeout: patience });
  if (result.exitCode === 0) return { hostKey: result.stdout.trim() };
  const reason = result.timedOut ? `not ready after ${patience / 1000} s` : `${result.stdout}${result.stderr}`.trim();
  const failed = await diagnosis(
    container,
    "systemctl --failed --no-legend --plain; systemctl list-jobs --no-legend | head -5",
  );
  const journal = await diagnosis(container, "journalctl --no-pager --lines 30 --priority info");
  const console = await execa("docker", ["logs", "--tail", "10", container], { reject: false, all: true });
  throw new Error(`The test host ${container} did not come up: ${reason}\n${failed}\n${journal}\n${console.all}`);
}

async function diagnosis(container: string, command: string): Promise<string> {
  const result = await execa("docker", ["exec", container, "bash", "-c", command], {
    reject: false,
    all: true,
    timeout: 10_000,
  });
  return result.all ?? "";
}
