/** A proxy image that starts and never becomes healthy, taken from a registry by its digest. */
import { join } from "node:path";
import type { TestHost } from "../hosts/host.ts";
import { projectRoot } from "../pulumi/stack.ts";

/** Not in /tmp, which is a file system of its own on some hosts. */
const program = "/models/dist/registry.mjs";

export interface BrokenImage extends AsyncDisposable {
  /** `repository@sha256:…` */
  readonly reference: string;
}

/** Needs a proxy that runs on the host: the broken image is that one with another entry point. */
export async function pushBrokenImage(host: TestHost): Promise<BrokenImage> {
  await host.copyIn(join(projectRoot, "test", "hosts", "registry.mjs"), program);
  await host.exec(`nohup ~/.lmstack/current/node ${program} 5000 > /tmp/registry.log 2>&1 &
echo $! > /tmp/registry.pid
until curl -sf http://127.0.0.1:5000/v2/; do sleep 0.1; done`);
  const image = (
    await host.exec("docker inspect -f '{{.Image}}' $(docker ps -q --filter label=dev.lmstack.stack)")
  ).stdout.trim();
  await host.exec(
    "docker tag $IMAGE lmstack-test-good && DOCKER_BUILDKIT=0 docker build -q -t localhost:5000/broken - && docker push -q localhost:5000/broken".replace(
      "$IMAGE",
      image,
    ),
    {
      stdin: `FROM lmstack-test-good
ENTRYPOINT ["/usr/local/bin/node", "-e", "setInterval(() => {}, 1000)"]
HEALTHCHECK --interval=1s --retries=2 CMD ["/usr/local/bin/node", "-e", "process.exit(1)"]
`,
    },
  );
  const { stdout } = await host.exec("docker inspect -f '{{index .RepoDigests 0}}' localhost:5000/broken");
  return {
    reference: stdout.trim(),
    [Symbol.asyncDispose]: async () => {
      await host.exec(
        `kill $(cat /tmp/registry.pid); rm -f /tmp/registry.* ${program}; docker rmi -f $(docker images -q localhost:5000/broken) lmstack-test-good`,
        { reject: false },
      );
    },
  };
}
