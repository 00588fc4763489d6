import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { described } from "../../../../infra/cli/host-prepare.ts";
import { bareFacts, neededPackages, type PrepareFacts, type RootBy } from "../../../../infra/cli/prepare/facts.ts";
import { planPrepare, type Step, type Wanted } from "../../../../infra/cli/prepare/plan.ts";
import { renderScript } from "../../../../infra/cli/prepare/script.ts";

const boxes: fc.Arbitrary<PrepareFacts> = fc.record({
  host: fc.constant("box"),
  kernel: fc.constant("Linux"),
  distro: fc.record({ name: fc.constant("Debian GNU/Linux 12 (bookworm)"), apt: fc.constant(true) }),
  systemd: fc.constant(true),
  rootBy: fc.constantFrom<RootBy>("root", "sudo", "password", "su"),
  user: fc.record({
    name: fc.constant("gpu"),
    exists: fc.constant(true),
    groups: fc.subarray(["gpu", "docker", "video"]),
    lingers: fc.boolean(),
  }),
  login: fc.option(fc.record({ name: fc.constant("admin"), groups: fc.subarray(["admin", "docker"]) })),
  missingPackages: fc.subarray([...neededPackages]),
  docker: fc.record({ version: fc.option(fc.constantFrom("20.10.24", "26.1.5")), running: fc.boolean() }),
  nvidia: fc.record({ card: fc.boolean(), driver: fc.option(fc.constant("580.95.05")), toolkit: fc.boolean() }),
  dropIn: fc.boolean(),
  models: fc.option(fc.record({ path: fc.constant("/models"), readable: fc.boolean() })),
});

const wishes: fc.Arbitrary<Wanted> = fc.record({ become: fc.constantFrom("sudo", "none"), docker: fc.boolean() });

/** What the box is like once root has run the step. */
function after(facts: PrepareFacts, step: Step): PrepareFacts {
  switch (step.id) {
    case "packages":
      return { ...facts, missingPackages: facts.missingPackages.filter((name) => !step.command.includes(name)) };
    case "docker":
      return { ...facts, docker: { version: "20.10.24", running: facts.docker.running } };
    case "docker-service":
      return { ...facts, docker: { ...facts.docker, running: true } };
    case "nvidia-toolkit":
      return { ...facts, nvidia: { ...facts.nvidia, toolkit: true } };
    case "docker-group":
      return {
        ...facts,
        user: { ...facts.user, groups: [...facts.user.groups, "docker"] },
        login: facts.login && { ...facts.login, groups: [...facts.login.groups, "docker"] },
      };
    case "sudoers":
      return { ...facts, dropIn: true };
    case "linger":
      return { ...facts, user: { ...facts.user, lingers: true } };
    case "models":
      return { ...facts, models: facts.models && { ...facts.models, readable: true } };
  }
}

const left = (facts: PrepareFacts, wanted: Wanted) =>
  planPrepare(facts, wanted).steps.filter((step) => !step.alreadyDone);

describe("the plan for a box", () => {
  it("leaves nothing to do once its steps have run", () => {
    fc.assert(
      fc.property(boxes, wishes, (facts, wanted) => {
        expect(left(left(facts, wanted).reduce(after, facts), wanted)).toEqual([]);
      }),
    );
  });

  it("goes on where an earlier run stopped: what had run is not run again, the rest keeps its order", () => {
    fc.assert(
      fc.property(boxes, wishes, fc.nat(8), (facts, wanted, stop) => {
        const all = left(facts, wanted);
        const rest = left(all.slice(0, stop).reduce(after, facts), wanted);
        expect(rest.map((step) => step.id)).toEqual(all.slice(stop).map((step) => step.id));
      }),
    );
  });

  it("shows each line of each command that would run as root, and runs no other", () => {
    fc.assert(
      fc.property(boxes, wishes, (facts, wanted) => {
        const plan = planPrepare(facts, wanted);
        const shown = described(facts, plan).join("\n");
        const script = renderScript(plan.steps);
        for (const step of plan.steps) {
          expect(script.includes(`(\n${step.command}\n)`)).toBe(!step.alreadyDone);
          if (step.alreadyDone) continue;
          for (const line of step.command.split("\n")) expect(shown).toContain(line);
        }
      }),
    );
  });

  it("gives the drop-in to those who want sudo, and lingering to those who do not", () => {
    const ids = (wanted: Wanted) => planPrepare(bareFacts("gpu", null, false), wanted).steps.map((step) => step.id);
    expect(ids({ become: "sudo", docker: true })).toEqual([
      "packages",
      "docker",
      "docker-service",
      "docker-group",
      "sudoers",
    ]);
    expect(ids({ become: "none", docker: false })).toEqual(["packages", "linger"]);
  });

  it("lets another user who connects become the owner, and puts both into Docker's group", () => {
    const script = (login?: string) =>
      renderScript(planPrepare(bareFacts("gpu", null, false, login), { become: "sudo", docker: true }).steps);
    expect(script("admin")).toContain("\nadmin ALL=(gpu) NOPASSWD: /bin/sh\n");
    expect(script("admin")).toContain("usermod -aG docker gpu\nusermod -aG docker admin\n");
    for (const same of [undefined, "gpu", "root"]) expect(script(same)).not.toMatch(/\/bin\/sh\n.*END|docker root/);
  });

  it("installs NVIDIA's toolkit only where a card is, after Docker and before Docker's service is looked at", () => {
    const ids = planPrepare(bareFacts("gpu", null, true), { become: "sudo", docker: true }).steps.map(
      (step) => step.id,
    );
    expect(ids.slice(1, 4)).toEqual(["docker", "nvidia-toolkit", "docker-service"]);
  });

  it("keeps a Docker that is there, whoever packaged it, and says when it is too old", () => {
    const facts = { ...bareFacts("gpu", null, false), docker: { version: "19.3.5", running: true } };
    const plan = planPrepare(facts, { become: "sudo", docker: true });
    expect(plan.steps.find((step) => step.id === "docker")?.alreadyDone).toBe(true);
    expect(plan.notes.join()).toMatch(/Docker 19\.3\.5 .*too old, expected 20\.10 or newer/);
  });

  it("says that a card without a driver needs one, and does not install it", () => {
    const facts = { ...bareFacts("gpu", null, true), nvidia: { card: true, driver: null, toolkit: false } };
    const plan = planPrepare(facts, { become: "sudo", docker: true });
    expect(plan.notes.join()).toMatch(/nvidia-smi does not answer/);
    expect(renderScript(plan.steps)).not.toContain("nvidia-driver");
  });

  it("turns what apt would do into words on a box without apt", () => {
    const facts = { ...bareFacts("gpu", null, false), distro: { name: "Fedora Linux 44", apt: false } };
    const plan = planPrepare(facts, { become: "sudo", docker: true });
    expect(renderScript(plan.steps)).not.toContain("apt-get");
    expect(plan.notes.filter((note) => note.startsWith("Fedora Linux 44 has no apt-get"))).toHaveLength(2);
  });

  it("gives a Mac the sudoers file alone, and nothing where the spec says become: none", () => {
    const mac = { ...bareFacts("gpu", null, false), kernel: "Darwin", systemd: false };
    const { steps, notes } = planPrepare(mac, { become: "sudo", docker: true });
    expect(steps.map(({ id }) => id)).toEqual(["sudoers"]);
    expect(steps[0]?.command).toContain("/bin/launchctl bootout system/dev.lmstack.supervisor");
    expect(steps[0]?.command).not.toMatch(/systemctl|sysctl/);
    expect(notes).toEqual([]);
    expect(() => planPrepare(mac, { become: "none", docker: false })).toThrow(/is a Mac, which needs no preparing/);
  });

  it.each([
    ["another system", { kernel: "FreeBSD" }, /runs FreeBSD; expected Linux/],
    ["a box without systemd", { systemd: false }, /does not run systemd/],
    [
      "root as the owner",
      { user: { name: "root", exists: true, groups: [], lingers: false } },
      /name that user with --for/,
    ],
    [
      "an owner who does not exist",
      { user: { name: "gpu", exists: false, groups: [], lingers: false } },
      /no user gpu.*adduser gpu/,
    ],
  ])("refuses %s in words", (_, change, words) => {
    expect(() =>
      planPrepare({ ...bareFacts("gpu", null, false), ...change }, { become: "sudo", docker: true }),
    ).toThrow(words);
  });

  it("needs the package sudo only when sudo is to be used", () => {
    const facts = { ...bareFacts("gpu", null, false), missingPackages: ["sudo"] };
    expect(left(facts, { become: "none", docker: false }).map((step) => step.id)).toEqual(["linger"]);
    expect(left(facts, { become: "sudo", docker: false }).map((step) => step.id)).toEqual(["packages", "sudoers"]);
  });
});
