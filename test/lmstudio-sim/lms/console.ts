/** `lms` logs everything to stderr; only data goes to stdout. */

/** Ends the command with exit 1 and its text after "Error:". */
export class Fault extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Fault";
  }
}

export const say = (text: string): void => void process.stderr.write(`${text}\n`);

export const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Asks on the terminal. Without one it reads what stdin has: end of input is a cancelled prompt, an open pipe hangs. */
export async function ask(question: string): Promise<string> {
  process.stderr.write(`? ${question} `);
  for await (const chunk of process.stdin) {
    const line = String(chunk).split("\n")[0] ?? "";
    process.stdin.destroy();
    return line.trim();
  }
  throw new Fault("The prompt was cancelled.");
}
