/** Whether a place in Markdown text lies in code: fences of ``` and ~~~, and spans between backticks. */

const tab = 9;
const lineFeed = 10;
const carriageReturn = 13;
const space = 32;
const backtick = 96;
const tilde = 126;

/** White space within a line. */
export const isBlank = (code: number): boolean => code === space || code === tab || code === carriageReturn;

export class CodeSpans {
  /** Nothing but white space so far on this line. */
  lineIsBlank = true;
  /** Length of the run of backticks that opened a span; 0 outside one. */
  #span = 0;
  /** The span began a line with three or more: at the line's end it turns out to be a fence. */
  #mayBeFence = false;
  #fence = 0;
  #fenceMark = 0;
  /** The fence's closing marks were read; true until something else follows on their line. */
  #closing = false;
  /** The run that is being read: the next character decides what it means. */
  #run = 0;
  #runMark = 0;
  #runBeganLine = false;

  /** A tag may begin here: outside code, and not directly behind marks that the next one could still join. */
  get allowsTag(): boolean {
    return this.#span === 0 && this.#fence === 0 && this.#run === 0;
  }

  /** Only marks can change what this says, so text without any need not be read. */
  get settled(): boolean {
    return this.#span === 0 && this.#run === 0 && !this.#closing;
  }

  read(code: number): void {
    if (code === backtick || code === tilde) this.#mark(code);
    else if (code === lineFeed) this.#endLine();
    else if (isBlank(code)) this.#endRun();
    else this.readWord();
  }

  /** Characters that are neither white space nor marks. */
  readWord(): void {
    if (this.#run > 0) this.#endRun();
    this.#closing = false;
    this.lineIsBlank = false;
  }

  #mark(code: number): void {
    if (this.#run > 0 && this.#runMark === code) {
      this.#run += 1;
      return;
    }
    this.#endRun();
    this.#closing = false;
    this.#run = 1;
    this.#runMark = code;
    this.#runBeganLine = this.lineIsBlank;
    this.lineIsBlank = false;
  }

  #endRun(): void {
    const run = this.#run;
    if (run === 0) return;
    this.#run = 0;
    const fenceLike = this.#runBeganLine && run >= 3;
    if (this.#fence > 0) this.#closing = fenceLike && this.#runMark === this.#fenceMark && run >= this.#fence;
    else if (this.#runMark === tilde) {
      if (fenceLike) this.#openFence(run, tilde);
    } else if (fenceLike) {
      this.#span = run;
      this.#mayBeFence = true;
    } else {
      // A fence's first line holds no further backtick, so this is a span after all.
      this.#mayBeFence = false;
      if (this.#span === 0) this.#span = run;
      else if (this.#span === run) this.#span = 0;
    }
  }

  #endLine(): void {
    this.#endRun();
    if (this.#closing) this.#fence = 0;
    this.#closing = false;
    if (this.#mayBeFence) this.#openFence(this.#span, backtick);
    // A span ends with its paragraph at the latest: a backtick that nobody closes is only a backtick.
    else if (this.lineIsBlank) this.#span = 0;
    this.lineIsBlank = true;
  }

  #openFence(length: number, mark: number): void {
    this.#fence = length;
    this.#fenceMark = mark;
    this.#span = 0;
    this.#mayBeFence = false;
  }
}
