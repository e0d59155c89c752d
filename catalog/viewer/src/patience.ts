/** How long a host may say nothing: a request that hangs ends, and one that is merely slow goes on. */

/** Milliseconds without an answer, or without a byte more of it. */
export const PATIENCE_MS = 30_000;

export class Patience {
  private readonly late = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Ends the request when it takes too long, or when whoever asked gives it up. */
  readonly signal: AbortSignal;

  constructor(given?: AbortSignal | null) {
    this.signal = given ? AbortSignal.any([given, this.late.signal]) : this.late.signal;
    this.renew();
  }

  /** Whether it took too long. */
  get ended(): boolean {
    return this.late.signal.aborted;
  }

  /** The host said something. */
  renew(): void {
    this.stop();
    this.timer = setTimeout(() => this.late.abort(), PATIENCE_MS);
  }

  /** Nothing is waited for any more. */
  stop(): void {
    clearTimeout(this.timer);
  }

  /**
   * Give an answer on, whose body has to keep coming.
   *
   * @param trouble what reading the body fails with where it does not
   */
  watch(response: Response, trouble: () => Error): Response {
    if (response.body === null) {
      this.stop();
      return response;
    }
    const { status, statusText, headers, url } = response;
    const watched = new Response(this.watched(response.body, trouble), { status, statusText, headers });
    // Where a redirect led is what addresses in it are relative to.
    return Object.defineProperty(watched, "url", { value: url });
  }

  private watched(body: ReadableStream<Uint8Array>, trouble: () => Error): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    return new ReadableStream({
      pull: async (queue) => {
        try {
          const { done, value } = await reader.read();
          if (done) {
            this.stop();
            return queue.close();
          }
          this.renew();
          queue.enqueue(value);
        } catch (error) {
          this.stop();
          throw this.ended ? trouble() : error;
        }
      },
      cancel: (reason) => {
        this.stop();
        return reader.cancel(reason);
      },
    });
  }
}
