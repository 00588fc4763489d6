/** A team's repository and the jobs of its workflows, on real hosts: what `test/fleet-ci/jobs.test.ts` asks in short, on hosts that are stood in for. */
import { drifts } from "../e2e/drift-by-hand.ts";
import { mustHold, type Row } from "../e2e/rows.ts";
import type { Ran } from "../fleet-ci/actions.ts";
import { ends, logOf, updatedIn } from "../fleet-ci/team.ts";
import type { TestHost } from "../hosts/host.ts";
import { CiPlace, change, differs, lacks } from "./ci-place.ts";
import { Conversations } from "./conversations.ts";
import type { Declared } from "./judge.ts";
import type { ModelName } from "./models.ts";
import { conversations, loadRows } from "./rollout.ts";
import type { Options, Scenario } from "./scenario.ts";
import { secretRows } from "./secrets.ts";
import { overlapsIn, touched, updatesBetween } from "./trace.ts";

export const ci: Scenario = {
  what: "the jobs of a team's repository: merges at once, a pull request, its merge, a bad revision, nights with drift",
  times: 1,
  rows: async ({ say }) => {
    await using place = await CiPlace.open("ci", { say, mac: true });
    return await new Story(place, say).rows();
  },
};

const byHand = drifts.find(({ name }) => name === "a setting of LM Studio changed") as (typeof drifts)[number];

class Story {
  readonly #ci: CiPlace;
  readonly #say: Options["say"];
  readonly #rows: Row[] = [];
  readonly #declared: Declared[] = [];

  constructor(place: CiPlace, say: Options["say"]) {
    this.#ci = place;
    this.#say = say;
  }

  async rows(): Promise<readonly Row[]> {
    const { place, team } = this.#ci;
    await using load = new Conversations(conversations, () => place.baseUrl, place.key);
    const began = performance.now();
    await this.#atOnce();
    await this.#pullRequest();
    await this.#bad();
    await this.#nights();
    await this.#wayBack();
    this.#row(
      "no two changes of a host overlapped, by Pulumi's history and by its own log",
      overlapsIn(await this.#ci.traces()),
    );
    const seconds = (performance.now() - began) / 1000;
    await load.stop();
    const planted = await this.#ci.planted();
    this.#row("passphrase, SSH key and hosts' key are in nothing that GitHub shows", await team.leaks(planted));
    return [
      ...this.#rows,
      ...(await secretRows(place, planted)),
      ...loadRows(load.take(), this.#declared),
      { name: "wall time of the jobs", value: Number(seconds.toFixed(1)), unit: "s", bar: "told", ok: true },
    ];
  }

  async #atOnce(): Promise<void> {
    const { team, names } = this.#ci;
    const before = await this.#ci.traces();
    this.#from("A", 0);
    this.#from("B");
    const first = await this.#ci.declare(["B", "B", "B"], "Model B");
    const second = await team.repository.commit("Words");
    const both = await Promise.all([first, second].map((sha) => team.merged(sha)));
    this.#until("A");
    const lost = both.find((ran) => ends(ran).join() === `${change}: failure`) ?? [];
    this.#row(
      "of two merges at once one deploys every host, and the other touches none and says why",
      [
        ...differs("jobs", both.flatMap(ends).sort(), [`${change}: failure`, `${change}: success`]),
        ...lacks(logOf(lost), /rollout \d+ is running: .*; nothing was touched/),
        ...differs("hosts that it began to change", updatedIn(lost, names), []),
        ...differs("updates by Pulumi's history", updatesBetween(before, await this.#ci.traces()), [1, 1, 1]),
        ...(await this.#ci.servedInstead(["B", "B", "B"])),
      ],
      both.flat(),
    );
  }

  async #pullRequest(): Promise<void> {
    const { team, names, place } = this.#ci;
    const two = names[1] as string;
    const before = await this.#ci.traces();
    const sha = await this.#ci.declare(["B", "A", "B"], "Model A on two");
    const previewed = await team.pulled(sha);
    const looked = await this.#ci.traces();
    const body = team.comments.map((comment) => comment.body).join("\n");
    this.#row(
      "a pull request that changes one profile: one comment with exactly its host, nothing is changed",
      [
        ...differs("jobs", ends(previewed), looks(two)),
        ...differs("comments", team.comments.length, 1),
        ...differs(
          "hosts in it",
          names.filter((host) => body.includes(host)),
          [two],
        ),
        ...lacks(body, /1 of 3 hosts would change/),
        ...touched(before, looked, names),
        ...(await this.#ci.servedInstead(["B", "B", "B"])),
      ],
      previewed,
    );
    this.#from("A");
    await byHand.happen(place.hosts[2] as TestHost);
    const merged = await team.merged(sha);
    const after = await this.#ci.traces();
    this.#row(
      "its merge deploys exactly that host: the others stay as they are, one that was changed by hand meanwhile, too",
      await this.#ci.changedOnly(merged, looked, [two], ["B", "A", "B"]),
      merged,
    );
    const again = await team.merged(await team.repository.commit("Nothing about hosts"));
    this.#row(
      "a merge that changes nothing deploys nothing",
      await this.#ci.leftAlone(again, after, /nothing to deploy/),
      again,
    );
  }

  async #bad(): Promise<void> {
    const { team, names } = this.#ci;
    const { repository, github } = team;
    const before = await this.#ci.traces();
    this.#from("thinks");
    const good = await repository.git("rev-parse", "HEAD");
    const failed = await team.merged(await this.#ci.declare(["thinks", "thinks", "B"], "A model that thinks"));
    this.#until("thinks");
    const after = await this.#ci.traces();
    const [proposed] = github.pulls;
    this.#row(
      "a model that thinks is taken back from the canary by itself, and a pull request proposes the way back in git",
      [
        ...differs("jobs", ends(failed), [`${change}: failure`]),
        ...(await this.#ci.servedInstead(["B", "A", "B"])),
        ...differs("updates by Pulumi's history", updatesBetween(before, after), [2, 0, 0]),
        ...touched(before, after, names.slice(1)),
        ...differs("pull requests", github.pulls.length, 1),
        ...lacks(proposed?.body ?? "", /think|thought|reasoning/i),
        ...differs("left by it", await repository.git("diff", "--stat", good, proposed?.head ?? "HEAD"), ""),
      ],
      failed,
    );
    const again = await team.merged(await repository.commit("Words beside a revision that is held"));
    this.#row(
      "a later merge leaves every host alone: the revision is held",
      await this.#ci.leftAlone(again, after, /is held: rollout \d+ was taken back/),
      again,
    );
  }

  async #nights(): Promise<void> {
    const { team, names } = this.#ci;
    const three = names[2] as string;
    const before = await this.#ci.traces();
    for (const night of ["first", "second"]) {
      const sha = await team.repository.commit(`Before the ${night} night`);
      const ran = await team.night(sha);
      const { issues } = team.github;
      const body = issues[0]?.body ?? "";
      this.#row(
        `the ${night} night: one issue with exactly the host that was changed by hand, and what was, without what is held`,
        [
          ...differs("jobs", ends(ran), looks(three)),
          ...differs(
            "issues",
            issues.map(({ state }) => state),
            ["open"],
          ),
          ...differs("its title", issues[0]?.title, "lmstack: 1 of 3 hosts not as declared"),
          ...differs(
            "hosts in it",
            names.filter((host) => body.includes(`**${host}**`)),
            [three],
          ),
          ...lacks(body, byHand.says),
          ...lacks(body, new RegExp(`As of ${sha}`)),
          ...touched(before, await this.#ci.traces(), names),
        ],
        ran,
      );
    }
  }

  /** In git by the proposal; on the host by somebody who starts the workflow. */
  async #wayBack(): Promise<void> {
    const { team, names } = this.#ci;
    const { repository, github } = team;
    const before = await this.#ci.traces();
    await repository.git("merge", "-q", "--no-edit", github.pulls[0]?.head ?? "HEAD");
    const sha = await repository.git("rev-parse", "HEAD");
    const merged = await team.merged(sha);
    this.#row(
      "the proposal, merged, deploys nothing",
      await this.#ci.leftAlone(merged, before, /nothing to deploy/),
      merged,
    );
    const rolled = await team.dispatched(sha);
    const after = await this.#ci.traces();
    this.#row(
      "a rollout by dispatch puts the host right that was changed by hand, and touches no other",
      await this.#ci.changedOnly(rolled, before, names.slice(2), ["B", "A", "B"]),
      rolled,
    );
    const night = await team.night(sha);
    this.#row(
      "the night after that closes the issue",
      [
        ...differs(
          "issues",
          github.issues.map(({ state }) => state),
          ["closed"],
        ),
        ...touched(after, await this.#ci.traces(), names),
      ],
      night,
    );
  }

  #from(model: ModelName, from: number = Date.now()): void {
    this.#declared.push({ model, from, to: Number.MAX_SAFE_INTEGER });
  }

  #until(model: ModelName): void {
    const index = this.#declared.findLastIndex((one) => one.model === model);
    this.#declared[index] = { ...(this.#declared[index] as Declared), to: Date.now() };
  }

  /** @param ran what can be read when there is a fault */
  #row(name: string, faults: readonly string[], ran: readonly Ran[] = []): void {
    const row = mustHold(name, faults.length === 0, faults.join("; ") || "holds");
    this.#rows.push(row);
    this.#say(`${name}: ${row.value}`);
    if (!row.ok) this.#say(logOf(ran));
  }
}

/** Jobs of a look at one host that went well. */
const looks = (host: string): string[] =>
  ["hosts", `look (${host})`, "tell"].map((job) => `fleet-look.yml/${job}: success`);
