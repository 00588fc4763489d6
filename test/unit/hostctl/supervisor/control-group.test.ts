import { describe, expect, test } from "vitest";
import { compareGroups, controlGroupOf } from "../../../../hostctl/supervisor/control-group.ts";

const unit = "0::/system.slice/lmstack-supervisor.service\n";
const userUnit = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/lmstack-supervisor.service\n";
const session = "0::/user.slice/user-1000.slice/session-4.scope\n";

describe("a daemon's control group", () => {
  test.each([unit, userUnit])("is the supervisor's own when both are in the same service", (own) => {
    expect(compareGroups(own, own)).toBe("ours");
  });

  test("is another's when a login shell or another service started the daemon", () => {
    expect(compareGroups(unit, session)).toBe("another");
    expect(compareGroups(userUnit, session)).toBe("another");
    expect(compareGroups(unit, "0::/system.slice/lmstudio.service\n")).toBe("another");
  });

  test("tells nothing where the supervisor runs in no service, or where there are none", () => {
    expect(compareGroups(session, session)).toBe("unknown");
    expect(compareGroups("", "")).toBe("unknown");
    expect(compareGroups("0::/\n", "0::/\n")).toBe("unknown");
  });

  test("of a process that has gone is not the supervisor's", async () => {
    expect(compareGroups(unit, "")).toBe("another");
    expect(await controlGroupOf(2 ** 22 - 1)).not.toBe("ours");
  });
});
