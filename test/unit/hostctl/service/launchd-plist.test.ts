import { parse } from "plist";
import { expect, test } from "vitest";
import { renderLaunchdPlist } from "../../../../hostctl/service/launchd-plist.ts";

const text = {
  label: "dev.lmstack.supervisor",
  command: ["/Users/g & p/node", "h <1>.mjs"],
  home: "/Users/g & p",
  log: "/Users/g & p/x.log",
  user: "g",
  exitSeconds: 15,
};

test("a daemon's plist keeps the job alive as its user, with a home, a place, a log and time to end, whatever the paths hold", () => {
  expect(parse(renderLaunchdPlist(text))).toEqual({
    Label: "dev.lmstack.supervisor",
    UserName: "g",
    ProgramArguments: ["/Users/g & p/node", "h <1>.mjs"],
    EnvironmentVariables: { HOME: "/Users/g & p", PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
    WorkingDirectory: "/Users/g & p",
    RunAtLoad: true,
    KeepAlive: true,
    ThrottleInterval: 2,
    ExitTimeOut: 15,
    ProcessType: "Interactive",
    SoftResourceLimits: { NumberOfFiles: 65536 },
    HardResourceLimits: { NumberOfFiles: 65536 },
    AbandonProcessGroup: false,
    StandardOutPath: "/Users/g & p/x.log",
    StandardErrorPath: "/Users/g & p/x.log",
  });
});

test("an agent's names no user, and the same input gives the same bytes", () => {
  const { user: _, ...agent } = text;
  expect(parse(renderLaunchdPlist(agent))).not.toHaveProperty("UserName");
  expect(renderLaunchdPlist(text)).toBe(renderLaunchdPlist({ ...text }));
});
