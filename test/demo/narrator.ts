/** What the demo says while it works: short lines with the time since its start, on stderr, and how long each step took. */
export interface StepTime {
  readonly step: string;
  readonly seconds: number;
}

export class Narrator {
  readonly times: StepTime[] = [];
  private readonly started = performance.now();
  private last = "";

  /** One line; the same text twice in a row is said once. */
  readonly say = (text: string): void => {
    if (text === this.last) return;
    this.last = text;
    const seconds = ((performance.now() - this.started) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${text}\n`);
  };

  async step<T>(step: string, work: () => Promise<T>): Promise<T> {
    this.say(`── ${step}`);
    const began = performance.now();
    const result = await work();
    this.times.push({ step, seconds: Math.round((performance.now() - began) / 100) / 10 });
    return result;
  }

  /** A line of `pulumi up`, without the engine's own words around what a person wants to know. */
  readonly pulumi = (line: string): void => {
    const [, name, text] = /^\s*[@+~=\-^<>* ]*\s*(?:[\w-]+:[\w/-]+:[\w]+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (!name || !text) return;
    const words = text.replace(/\s*\(\d+(\.\d+)?s\)/, "").trim();
    if (words !== "") this.say(`   ${name}: ${words}`);
  };
}
