import { execa } from "execa";
import { afterEach, describe, expect, it, vi } from "vitest";
import { streaming } from "../../hosts/progress.ts";

const shell = (command: string) => execa("sh", ["-c", command], { all: true, reject: false });

describe("a slow command", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("fails with what it was for and its last lines", async () => {
    await expect(streaming(() => {}, "making a base", shell("seq 1 40; echo broken >&2; exit 3"))).rejects.toThrow(
      /making a base failed \(exit 3\)[\s\S]*\n27\n[\s\S]*40\nbroken$/,
    );
  });

  it("says its latest line every ten seconds, and stops when it has ended", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const lines: string[] = [];
    const running = shell("echo first; read -r _; echo last");
    const seen = new Promise<void>((resolve) => running.all.once("data", () => setImmediate(resolve)));
    const done = streaming((line) => lines.push(line), "building", running);
    await seen;
    vi.advanceTimersByTime(20_000);
    expect(lines).toEqual([
      "building",
      expect.stringMatching(/^building: \d+ s, first$/),
      expect.stringMatching(/, first$/),
    ]);
    running.stdin?.end("go\n");
    await done;
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(3);
  });
});
