/** The host of a chaos run: two scripted models that load in a known time, and a home on a small file system of its own, which can be filled. */
import { join } from "node:path";
import {
  type Box,
  type ModelFile,
  openStack,
  putModel,
  type Spec,
  specFor,
  startBox,
  teamKey,
  thinker,
} from "../e2e/box.ts";
import { writeScriptModel } from "../lmstudio-sim/gguf/script-model.ts";
import type { Traps } from "../lmstudio-sim/traps.ts";
import { projectRoot, type Stack } from "../pulumi/stack.ts";

/** The one that faults of a single model strike. */
export const victim = "Victim-8B-Q4_K_M";
export const models = [thinker, victim] as const;
/** Of each model, in ms. */
export const loadMs = 1500;

export interface Place extends AsyncDisposable {
  readonly box: Box;
  readonly stack: Stack;
  /** Ends with `/v1`. */
  readonly baseUrl: string;
  readonly key: string;
}

const homeImage = "/models/home.img";
/** What the preflight wants free, and what lies there. Sparse. */
const homeMegabytes = 1800;

/** Deployed and serving. @throws with the engine's output when `up` fails */
export async function openPlace(name: string, say: (line: string) => void): Promise<Place> {
  const started = await startBox({ name, realModel: false, onProgress: say });
  const { host } = started;
  await host.exec(mountHome, { root: true });
  const box = { ...started, models: [...started.models, await putVictim(started)] };
  // An earlier run that was killed may have left one that speaks of another host.
  await (await openStack(`e2e-${name}`, box)).forget();
  const stack = await openStack(`e2e-${name}`, box);
  const close = async () => {
    await stack.forget();
    await host.remove();
  };
  try {
    const up = await stack.up();
    if (up.exitCode !== 0) throw new Error(`the first up failed:\n${up.output}`);
    say(`the first up took ${up.seconds.toFixed(1)} s`);
    await springTraps(host);
  } catch (error) {
    await close();
    throw error;
  }
  return { box, stack, baseUrl: `http://${host.address}:8080/v1`, key: teamKey, [Symbol.asyncDispose]: close };
}

/** On top of what always holds here; without any, what holds. */
export async function springTraps(host: Box["host"], traps: Partial<Traps> = {}): Promise<void> {
  // Renamed into place: the stand-in reads it at every step.
  const file = "~/.lmstudio/.internal/sim-traps.json";
  await host.exec(`cat > ${file}.new && mv ${file}.new ${file}`, { stdin: JSON.stringify({ loadMs, ...traps }) });
}

/** A unit mounts it at every boot. A container has no loop devices of its own, and a restart forgets those that were made. */
const mountHome = `set -eu
truncate -s ${homeMegabytes}M ${homeImage}
mkfs.ext4 -q -m 0 ${homeImage}
cat > /usr/local/lib/lmstack-test/home <<'END'
#!/bin/sh
set -eu
[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
for number in 0 1 2 3 4 5 6 7; do [ -e /dev/loop$number ] || mknod /dev/loop$number b 7 $number; done
mountpoint -q "$1" || mount -o loop ${homeImage} "$1"
END
chmod 0755 /usr/local/lib/lmstack-test/home
/usr/local/lib/lmstack-test/home /mnt
rmdir /mnt/lost+found
cp -a /home/gpu/. /mnt/
chown gpu:gpu /mnt
chmod 0750 /mnt
umount /mnt
cat > /etc/systemd/system/lmstack-test-home.service <<'END'
[Unit]
Description=Mount the home of this test host
DefaultDependencies=no
After=systemd-remount-fs.service systemd-tmpfiles-setup-dev.service
Before=sysinit.target lmstack-test-boot.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/lmstack-test/home /home/gpu

[Install]
WantedBy=sysinit.target
END
systemctl enable --quiet --now lmstack-test-home.service`;

/** Puts the victim's file where it was declared, right again if it was not. */
export async function putVictim({ host }: Box): Promise<ModelFile> {
  const local = join(projectRoot, ".lmstack", "test", `${victim}.gguf`);
  await writeScriptModel(local, { name: victim });
  return await putModel(host, victim, local);
}

export const declare = ({ stack, key }: Place, spec: Spec): Promise<void> => stack.configure(spec, { "team-a": key });

/** Another context of the model that faults strike: something for an `up` to do. */
export const changedSpec = (box: Box, contextLength: number): Spec =>
  specFor(box, (spec) => {
    for (const model of spec.models) if (model.id === victim) model.load.contextLength = contextLength;
  });
