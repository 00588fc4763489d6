import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hostAt } from "../../../../hostctl/host.ts";
import { chooseFlavour, refuseSystemUnit } from "../../../../hostctl/service/service.ts";
import { renderSystemdUnit } from "../../../../hostctl/service/systemd-unit.ts";

describe("the flavour of a service", () => {
  const around = { platform: "linux", become: "sudo", ownHome: true, systemd: true, userManager: true } as const;
  test.each([
    ["systemd", around],
    ["systemd-user", { ...around, become: "none" }],
    ["detached", { ...around, become: "none", userManager: false }],
    ["detached", { ...around, systemd: false }],
    ["launchd", { ...around, platform: "darwin", systemd: false }],
    ["detached", { ...around, ownHome: false }],
    ["detached", { ...around, platform: "darwin", ownHome: false }],
  ] as const)("is %s where that is what the host offers", (flavour, where) => {
    expect(chooseFlavour(where)).toBe(flavour);
  });
});

test("a unit of the system from an earlier become: sudo is refused with the way out, and nobody else's is", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lmstack-unit-"));
  try {
    const host = { ...hostAt(folder, () => {}), ownHome: true, platform: "linux", user: "gpu" } as const;
    const look = (become: "sudo" | "none") => refuseSystemUnit(host, become, "lmstack-supervisor", folder);
    await look("none");
    const file = join(folder, "lmstack-supervisor.service");
    await writeFile(file, "[Service]\nUser=gpu2\n");
    await look("none");
    await writeFile(file, "[Service]\nUser=gpu\n");
    await look("sudo");
    await expect(look("none")).rejects.toMatchObject({
      code: "privilege_missing",
      message: expect.stringContaining(file),
      hint: expect.stringMatching(/pulumi destroy.*become: sudo.*systemctl disable --now lmstack-supervisor/),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("the systemd unit", () => {
  const unit = {
    description: "lmstack supervisor of LM Studio",
    command: ["/home/g p/.lmstack/current/node", "/home/g p/hostctl.mjs", "supervise"],
    home: "/home/g p",
    notify: true,
    mounts: ["/models", "/mnt/more models"],
    stopSeconds: 15,
    reloads: false,
    rootFirst: [["/usr/bin/nvidia-modprobe", "-u"]],
  };
  test("of the system runs as the user, waits for the models' mounts, and takes its daemon along when it ends", () => {
    expect(renderSystemdUnit({ ...unit, user: "gpu" })).toMatchInlineSnapshot(`
      "[Unit]
      Description=lmstack supervisor of LM Studio
      After=network-online.target nvidia-persistenced.service
      Wants=network-online.target
      RequiresMountsFor=/models "/mnt/more models"
      StartLimitIntervalSec=0

      [Service]
      Type=notify
      NotifyAccess=all
      TimeoutStartSec=300
      WatchdogSec=30
      WatchdogSignal=SIGKILL
      User=gpu
      Environment="HOME=/home/g p"
      WorkingDirectory=/home/g p
      ExecStartPre=-+/usr/bin/nvidia-modprobe -u
      ExecStart="/home/g p/.lmstack/current/node" "/home/g p/hostctl.mjs" supervise
      Restart=always
      RestartSec=2
      RestartSteps=4
      RestartMaxDelaySec=15
      KillMode=mixed
      TimeoutStopSec=15
      OOMPolicy=continue
      LimitNOFILE=65536
      LimitCORE=0
      NoNewPrivileges=yes
      CapabilityBoundingSet=
      ProtectSystem=full
      ProtectProc=invisible
      ProtectKernelTunables=yes
      ProtectKernelModules=yes
      ProtectKernelLogs=yes
      ProtectControlGroups=yes
      ProtectHostname=yes
      RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
      RestrictRealtime=yes
      RestrictSUIDSGID=yes
      LockPersonality=yes
      SystemCallArchitectures=native
      SystemCallFilter=~@clock @cpu-emulation @module @mount @obsolete @raw-io @reboot @swap
      SystemCallErrorNumber=EPERM

      [Install]
      WantedBy=multi-user.target
      "
    `);
  });
  test("of the user names no user and no mounts, and keeps its groups and the driver's setuid helper", () => {
    const text = renderSystemdUnit(unit);
    expect(text).not.toMatch(/^User=|RequiresMountsFor|ExecStartPre/m);
    expect(text).not.toMatch(/^(NoNewPrivileges|Protect\w+|Private\w+|Restrict\w+|SystemCall\w+|LockPersonality)=/m);
    expect(text).toMatch(/^WatchdogSec=30$/m);
    expect(text).toContain("WantedBy=default.target");
  });
  test("lets a person put new settings to work without a gap, where the program can", () => {
    expect(renderSystemdUnit({ ...unit, reloads: true })).toContain("\nExecReload=/bin/kill -HUP $MAINPID\n");
    expect(renderSystemdUnit(unit)).not.toContain("ExecReload");
  });
  test("escapes what systemd would expand", () => {
    expect(renderSystemdUnit({ ...unit, command: ['/bin/a$b%c"d'] })).toContain('ExecStart="/bin/a$$b%%c\\"d"');
  });
});
