/** How each fault is brought about on the test host, and how a person takes its cause away. */
import { setTimeout as delay } from "node:timers/promises";
import { kill } from "../e2e/killing.ts";
import { type KindName, withinSeconds } from "./kinds.ts";
import { proof } from "./look.ts";
import { models, type Place, putVictim, springTraps, victim } from "./place.ts";

export interface Scene {
  readonly place: Place;
  /** From 0 to 1: when within the `up` that a fault interrupts. */
  readonly moment: number;
}

type Act = (scene: Scene) => Promise<unknown>;

const upSeconds = 8;
const file = `/models/${victim}.gguf`;
const hookBroken = "/etc/lmstack-test/gpu-hook-broken";
const killDaemon = "pkill -9 -x llmster";
const killProxy = "pkill -9 -f '^[^ ]*node .*/app/proxy.mjs'";

const onHost =
  (command: string): Act =>
  ({ place }) =>
    place.box.host.exec(command, { root: true });

/** Waits for the port, so that it has it before its owner is back. */
const takePort = (address: string, port: number, seconds: number, killOwner: string) =>
  onHost(`python3 - <<'END' &
import socket, time
deadline = time.monotonic() + 15
while True:
    taker = socket.socket()
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taker.bind(("${address}", ${port}))
        break
    except OSError:
        taker.close()
        if time.monotonic() > deadline:
            raise
taker.listen()
time.sleep(${seconds})
END
taker=$!
sleep 0.3
${killOwner}
wait $taker`);

/** Whether every model gives a proved token by then. */
async function servedWithin(place: Place, seconds: number): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    const faults = await Promise.all(models.map((model) => proof(place, model)));
    if (faults.every((fault) => fault === null)) return true;
    await delay(250);
  }
  return false;
}

const overwritten = {
  ".internal/http-server-config.json": {
    port: 1234,
    networkInterface: "0.0.0.0",
    cors: true,
    logSensitiveData: true,
    autoStartOnLaunch: true,
    justInTimeModelLoading: true,
  },
  "settings.json": { developer: { autoUpdateExtensionPacks: true } },
};

export const strikes: Readonly<Record<KindName, Act>> = {
  "daemon-killed": onHost(killDaemon),
  "supervisor-killed": onHost("kill -9 $(systemctl show -p MainPID --value lmstack-supervisor.service)"),
  "daemon-hangs": onHost("pkill -STOP -x llmster"),
  "server-hangs": async (scene) => {
    await springTraps(scene.place.box.host, { serverHangs: "once" });
    // 28: no answer in time.
    await onHost(
      "while curl -s -m 1 -o /dev/null http://127.0.0.1:8081/lmstudio-greeting; [ $? = 28 ]; do sleep 0.2; done",
    )(scene);
    await springTraps(scene.place.box.host);
  },
  "supervisor-hangs": onHost("kill -STOP $(systemctl show -p MainPID --value lmstack-supervisor.service)"),
  // By deaths, not by seconds: on a slow machine it takes longer each time to come back.
  "daemon-dies-on": onHost(`for death in $(seq 12); do
  for moment in $(seq 160); do ! pgrep -x llmster > /dev/null || break; sleep 0.25; done
  ${killDaemon} || break
  sleep 1
done`),
  "proxy-killed": onHost(killProxy),
  "dockerd-killed": onHost("pkill -9 -x dockerd"),
  reboot: ({ place }) => place.box.host.reboot(),
  "disk-full": onHost(`cd /home/gpu
fallocate -l $(df --output=avail -B1 . | tail -1) .filler || true
cat /dev/zero > .filler-rest || true
${killDaemon}
sleep 15
rm .filler .filler-rest`),
  "settings-overwritten": async ({ place }) => {
    for (const [path, content] of Object.entries(overwritten))
      await place.box.host.exec(`cat > ~/.lmstudio/${path}`, { stdin: JSON.stringify(content) });
  },
  "model-deleted": onHost(`rm ${file} && ${killDaemon}`),
  "model-corrupted": onHost(`dd if=/dev/zero of=${file} bs=64 count=1 conv=notrunc status=none && ${killDaemon}`),
  "backend-port-taken": takePort("127.0.0.1", 8081, 20, killDaemon),
  "proxy-port-taken": takePort("0.0.0.0", 8080, 10, killProxy),
  "stray-lms": onHost(`${killDaemon}; su - gpu -c '~/.lmstudio/bin/lms ls' > /dev/null 2>&1`),
  "gpu-hook-broken": async ({ place }) => {
    await place.box.host.exec(`touch ${hookBroken} && ${killProxy}`, { root: true });
    const serves = await servedWithin(place, withinSeconds);
    await place.box.host.exec(`rm ${hookBroken}`, { root: true });
    if (!serves) throw new Error(`nothing served within ${withinSeconds} s while the hook was broken`);
  },
  "network-cut": async (scene) => {
    const running = scene.place.stack.startUp();
    await delay(scene.moment * upSeconds * 1000);
    await onHost("iptables -I INPUT -p tcp --dport 22 -j DROP; sleep 20; iptables -D INPUT -p tcp --dport 22 -j DROP")(
      scene,
    );
    await running;
  },
  "two-ups": async ({ place, moment }) => {
    const first = place.stack.startUp();
    await delay(moment * 1000);
    await Promise.all([first, place.stack.startUp()]);
  },
  "up-killed": async ({ place, moment }) => {
    const running = place.stack.startUp();
    const ended = await Promise.race([running.then(() => true), delay(moment * upSeconds * 1000, false)]);
    if (!ended && running.pid !== undefined) await kill(running.pid, "all");
    await running;
    await place.stack.cancel();
  },
};

/** What a person does about it before the next `up`. */
export const repairs: Readonly<Partial<Record<KindName, Act>>> = {
  "model-deleted": ({ place }) => putVictim(place.box),
  "model-corrupted": ({ place }) => putVictim(place.box),
};

/** These interrupt an `up`, which needs something to do. */
export const needsChange: ReadonlySet<KindName> = new Set(["network-cut", "two-ups", "up-killed"]);
