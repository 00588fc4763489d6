import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const minutes = 60_000;

/** What takes minutes, so that it is not what the others' worker waits for at the end. */
const long = [
  "life-of-a-host.test.ts",
  "chaos.test.ts",
  "fleet.test.ts",
  "interruption.test.ts",
  "native-proxy.test.ts",
];

class LongOnesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = long.findIndex((name) => moduleId.endsWith(`/e2e/${name}`));
      return place < 0 ? long.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongOnesFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/engine/**/*.test.ts", "test/lmstudio-sim/**/*.test.ts"],
          testTimeout: minutes,
          hookTimeout: minutes,
          restoreMocks: true,
          // Much of it waits for processes.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "clients",
          include: [
            "test/clients/**/*.test.ts",
            "test/browser/**/*.test.ts",
            "test/observability/**/*.test.ts",
            "test/gateway/**/*.test.ts",
            "test/mac-sim/**/*.test.ts",
            "test/fleet-ci/**/*.test.ts",
          ],
          testTimeout: 2 * minutes,
          hookTimeout: 5 * minutes,
          // Much of it waits for clients, which are processes of their own.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "container",
          include: ["test/container/**/*.test.ts"],
          testTimeout: 2 * minutes,
          hookTimeout: 5 * minutes,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/hosts/**/*.test.ts", "test/e2e/**/*.test.ts"],
          testTimeout: 8 * minutes,
          hookTimeout: 8 * minutes,
          // Each file has hosts of its own; most of the time is spent waiting for them.
          maxWorkers: 2,
        },
      },
    ],
  },
});
