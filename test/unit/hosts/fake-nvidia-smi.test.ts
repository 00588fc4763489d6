import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";

const program = join(import.meta.dirname, "../../../images/test-host/nvidia-smi");
/** Its own shebang names a busybox that only test hosts have; any sh runs it. */
const ask = (...words: string[]) => execa("sh", [program, ...words], { reject: false });

describe("the test host's nvidia-smi", () => {
  it("answers queries in the real one's formats", async () => {
    const fields = "--query-gpu=name,driver_version,memory.total,utilization.gpu,power.draw";
    expect((await ask(fields, "--format=csv")).stdout).toBe(
      "name, driver_version, memory.total [MiB], utilization.gpu [%], power.draw [W]\nNVIDIA GeForce RTX 5090, 580.95.05, 32607 MiB, 3 %, 27.46 W",
    );
    expect((await ask(fields, "--format=csv,noheader,nounits")).stdout).toBe(
      "NVIDIA GeForce RTX 5090, 580.95.05, 32607, 3, 27.46",
    );
  });

  it("refuses a field that does not exist, and words it does not know", async () => {
    expect(await ask("--query-gpu=nmae", "--format=csv")).toMatchObject({
      exitCode: 2,
      stdout: 'Field "nmae" is not a valid field to query.',
    });
    expect((await ask("--frobnicate")).exitCode).toBe(1);
  });

  it("lists the card", async () => {
    expect((await ask("-L")).stdout).toMatch(/^GPU 0: NVIDIA GeForce RTX 5090 \(UUID: GPU-[0-9a-f-]+\)$/);
  });
});
