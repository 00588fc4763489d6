/** A container image of one static program, made on the test host: nothing can be pulled there. */
import type { TestHost } from "./host.ts";

export const tinyImage = "lmstack-tiny:1";

export async function putTinyImage(host: TestHost): Promise<void> {
  await host.exec(`tar -C / -c bin/busybox | docker import - ${tinyImage}`, { root: true });
}
