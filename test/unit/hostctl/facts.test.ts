import { expect, test } from "vitest";
import { parseContainers } from "../../../hostctl/docker.ts";
import { isLoopback, parseListeners, parseLsof } from "../../../hostctl/listeners.ts";
import { parseEngines } from "../../../hostctl/lmstudio/lms.ts";

test("listen addresses are read as the kernel prints them", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 71234 1",
    "   1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 71235 1",
    "   2: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 71236 1",
    "   3: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0:0 0:0 0 1000 0 71237 1",
    "   4: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 0:0 0:0 0 1000 0 71238 1",
  ].join("\n");
  const addresses = parseListeners(table, 8081).map(({ address }) => address);
  expect(addresses).toEqual(["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1"]);
  expect(addresses.map(isLoopback)).toEqual([true, false, true, true]);
  expect(parseListeners(table, 80)).toEqual([]);
  expect(parseLsof("p1\nf3\nn*:8081\nn127.0.0.1:8081\nn[::1]:8081\n").map(({ address }) => address)).toEqual([
    "0.0.0.0",
    "127.0.0.1",
    "::1",
  ]);
});

test("the table of engines is read with its tick", () => {
  const table =
    "LLM ENGINE                                SELECTED    MODEL FORMAT\nllama.cpp-linux-x86_64-avx2@2.25.2                     GGUF\nllama.cpp-linux-x86_64-nvidia-cuda12@2.25.2   ✓        GGUF\n";
  expect(parseEngines(table)).toEqual([
    { id: "llama.cpp-linux-x86_64-avx2@2.25.2", selected: false },
    { id: "llama.cpp-linux-x86_64-nvidia-cuda12@2.25.2", selected: true },
  ]);
});

test("containers are read with their health, whatever docker adds", () => {
  const state = { Running: true, ExitCode: 0, Health: { Status: "healthy" } };
  const rows = [
    { Id: "a", Config: { Labels: { "dev.lmstack.token": "t1" } }, State: state },
    { Id: "b", Config: { Labels: null }, State: { Running: false, Restarting: true, ExitCode: 3 } },
  ];
  expect(parseContainers(JSON.stringify(rows))).toMatchObject([
    { id: "a", token: "t1", running: true, health: "healthy" },
    { id: "b", token: "", running: false, health: "none", restarting: true, exitCode: 3 },
  ]);
  expect(parseContainers("Error: No such object")).toEqual([]);
});
