/** What a rollout needs from the world: each method is one thing done to one host, or one look at it. */

/** Takes a host out of the endpoint that clients use, and puts it back. Both may be called again without harm. */
export interface Gateway {
  /** Ends when no request runs there any more, or after `limitSeconds`, whatever runs. Nothing new goes there from the first moment on. */
  drain(host: string, limitSeconds: number): Promise<void>;
  undrain(host: string): Promise<void>;
}
