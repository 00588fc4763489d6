/** The folder that a host shares with its proxies: configuration, keys and admin sockets. */
import { chmod, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";

const files = ["proxy.json", "keys.json"];

export class SharedFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<SharedFolder> {
    const path = await mkdtemp(join(tmpdir(), "lmstack-shared-"));
    await chmod(path, 0o777);
    return new SharedFolder(path);
  }

  /** As hostctl does: under another name first, then in one step. */
  async write(name: "proxy.json" | "keys.json", document: object | string): Promise<void> {
    const text = typeof document === "string" ? document : JSON.stringify(document);
    const staging = join(this.path, `.${name}.staging`);
    await writeFile(staging, text, { mode: 0o644 });
    await rename(staging, join(this.path, name));
  }

  async writeKeys(keys: ProxyConfigInput["keys"] | readonly object[]): Promise<void> {
    await this.write("keys.json", { keys });
  }

  /** What lies there besides configuration and keys. */
  async others(): Promise<string[]> {
    return (await readdir(this.path)).filter((name) => !files.includes(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
