/** Connections to LM Studio that know whether they have carried a request before: only such a one can have been closed while it lay idle. */
import { Client, type Dispatcher, Pool } from "undici";

/** What is told, before it is sent, on which connection. */
export interface Sent {
  connection: Connection | undefined;
}

export class Connection extends Client {
  #carried = false;

  constructor(origin: URL, options: Client.Options) {
    super(origin, options);
    this.on("connect", () => {
      this.#carried = false;
    });
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if ("connection" in handler) (handler as Sent).connection = this;
    else this.#carried = true;
    return super.dispatch(options, handler);
  }

  /** Call when a request begins on it: whether another one did before. */
  carry(): boolean {
    const before = this.#carried;
    this.#carried = true;
    return before;
  }
}

/** One connection a client, as many as there are requests at once. */
export function connectionsTo(origin: string, options: Pool.Options): Pool {
  return new Pool(origin, { ...options, factory: (to, more) => new Connection(to, more) });
}
