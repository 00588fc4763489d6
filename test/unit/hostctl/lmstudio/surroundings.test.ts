import { expect, test } from "vitest";
import { hostAt } from "../../../../hostctl/host.ts";
import { lmsSurroundings } from "../../../../hostctl/lmstudio/surroundings.ts";

const host = hostAt("/home/gpu", () => {});

test("LM Studio gets what it needs of the environment, and no secret or socket of the supervisor's", () => {
  const all = {
    HOME: "/root",
    PATH: "/usr/bin",
    LANG: "C",
    CUDA_VISIBLE_DEVICES: "0",
    https_proxy: "http://proxy:3128",
    NOTIFY_SOCKET: "/run/systemd/notify",
    WATCHDOG_USEC: "30000000",
    NODE_OPTIONS: "--inspect",
    HF_TOKEN: "hf_secret",
    PULUMI_CONFIG_PASSPHRASE: "secret",
    SSH_AUTH_SOCK: "/tmp/agent",
    LMS_SERVER_HOST: "0.0.0.0",
  };
  const { USER, LOGNAME, PATH, ...rest } = lmsSurroundings(host, all);
  expect(rest).toEqual({
    HOME: "/home/gpu",
    LANG: "C",
    CUDA_VISIBLE_DEVICES: "0",
    https_proxy: "http://proxy:3128",
  });
  expect(USER).toBe(LOGNAME);
  expect(PATH?.split(":")).toEqual(expect.arrayContaining(["/usr/bin", "/home/gpu/.lmstudio/bin"]));
});

test("LM Studio finds programs also where a service manager gives no PATH", () => {
  expect(lmsSurroundings(host, {}).PATH).toMatch(/\/usr\/bin.*\.lmstudio\/bin/);
});
