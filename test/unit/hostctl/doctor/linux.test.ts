import { expect, test } from "vitest";
import { type LinuxFacts, linuxFindings } from "../../../../hostctl/doctor/linux.ts";
import { mountPointOf, parseFstab, parseMountPoints, parseMountUnits } from "../../../../hostctl/doctor/linux-facts.ts";
import type { DoctorDocument } from "../../../../infra/spec/host-documents.ts";

const document: DoctorDocument = {
  stack: "box",
  become: "none",
  platform: "linux-cuda",
  listen: { host: "0.0.0.0", port: 8080 },
  modelPaths: [],
};
const disk = { path: "/models/m.gguf", there: true, mountPoint: "/models", mountedAtBoot: true };
const good: LinuxFacts = {
  user: "gpu",
  gpu: { driver: "570.86", persistence: true },
  lingers: true,
  freeBytes: 50 * 2 ** 30,
  totalBytes: 100 * 2 ** 30,
  models: [disk],
  clockSynchronized: true,
};

test("a well kept Linux host has nothing to put right", () => {
  expect(linuxFindings(good, document).filter(({ verdict }) => verdict !== "ok")).toEqual([]);
});

test.each([
  ["gpu-driver", "problem", { gpu: { error: "NVIDIA-SMI has failed" } }, /has failed/, /driver/],
  ["gpu-persistence", "warning", { gpu: { driver: "570", persistence: false } }, /persistence/, /nvidia-persistenced/],
  ["linger", "problem", { lingers: false }, /logs out/, /enable-linger gpu/],
  ["model-mount", "problem", { models: [{ ...disk, there: false }] }, /m\.gguf is not there/, /mount -a/],
  ["model-mount", "problem", { models: [{ ...disk, mountedAtBoot: false }] }, /by hand/, /\/models to \/etc\/fstab/],
  ["disk", "warning", { freeBytes: 2 ** 30 }, /1\.0 GiB of 100\.0 GiB/, /du /],
  ["disk", "problem", { freeBytes: 2 ** 20 }, /free/, /du /],
  ["clock", "warning", { clockSynchronized: false }, /not synchronized/, /set-ntp true/],
] as const)("a Linux host is told of %s (%s) with what puts it right", (check, verdict, facts, words, fix) => {
  const finding = linuxFindings({ ...good, ...facts }, document).find(
    (one) => one.check === check && one.verdict !== "ok",
  );
  expect(finding).toMatchObject({ verdict, words: expect.stringMatching(words), fix: expect.stringMatching(fix) });
});

test("neither a card nor lingering is asked of a host that needs none", () => {
  const found = linuxFindings(
    { ...good, lingers: false, gpu: { error: "no" } },
    { ...document, platform: "linux-cpu", become: "sudo" },
  );
  expect(found.filter(({ verdict }) => verdict !== "ok")).toEqual([]);
});

test("mounts are read as the kernel, fstab and systemd write them, spaces included", () => {
  const table = "23 1 8:1 / / rw - ext4 /dev/sda rw\n40 23 8:2 / /mnt/my\\040models rw - ext4 /dev/sdb rw\n";
  const points = parseMountPoints(table);
  expect(points).toEqual(["/", "/mnt/my models"]);
  expect(mountPointOf("/mnt/my models/a.gguf", points)).toBe("/mnt/my models");
  expect(mountPointOf("/mnt/my models 2/a.gguf", points)).toBe("/");
  expect(
    parseFstab(
      "# c\nUUID=1 / ext4 defaults 0 1\n/dev/sdb /mnt/my\\040models ext4 nofail 0 2\n/dev/sdc /usb ext4 noauto 0 0\n",
    ),
  ).toEqual(["/", "/mnt/my models"]);
  expect(parseMountUnits("mnt-my\\x20models.mount enabled enabled\nsrv-a\\x2db.mount enabled enabled\n")).toEqual([
    "/mnt/my models",
    "/srv/a-b",
  ]);
});
