/** A cache that keeps what was used last, up to a weight. */

export class Lru<V> {
  private readonly held = new Map<string, { value: V; weight: number }>();
  private total = 0;

  /**
   * @param limit of the weights together; the newest entry stays even where it alone is heavier
   */
  constructor(private readonly limit: number) {}

  get(key: string): V | undefined {
    const entry = this.held.get(key);
    if (entry === undefined) return undefined;
    // A Map keeps the order of insertion, so the last one used goes to its end.
    this.held.delete(key);
    this.held.set(key, entry);
    return entry.value;
  }

  set(key: string, value: V, weight = 1): void {
    this.drop(key);
    this.held.set(key, { value, weight });
    this.total += weight;
    for (const oldest of this.held.keys()) {
      if (this.total <= this.limit || oldest === key) break;
      this.drop(oldest);
    }
  }

  drop(key: string): void {
    this.total -= this.held.get(key)?.weight ?? 0;
    this.held.delete(key);
  }

  clear(): void {
    this.held.clear();
    this.total = 0;
  }
}

/** Work that is under way, so that who asks for the same meanwhile waits for it and does not start it again. */
export class Sharing<V> {
  private readonly running = new Map<string, Promise<V>>();

  /**
   * Start work, or join it.
   *
   * Whoever started it may give it up by its signal; who joined starts it anew then.
   */
  async join(key: string, start: () => Promise<V>, signal?: AbortSignal): Promise<V> {
    const running = this.running.get(key);
    if (running === undefined) return this.started(key, start);
    try {
      return await orAborted(running, signal);
    } catch (error) {
      if (isAbort(error) && !signal?.aborted) return this.join(key, start, signal);
      throw error;
    }
  }

  private async started(key: string, start: () => Promise<V>): Promise<V> {
    const work = start().finally(() => this.running.delete(key));
    this.running.set(key, work);
    return work;
  }
}

/** Whether an error says that somebody gave the work up. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

function orAborted<V>(work: Promise<V>, signal?: AbortSignal): Promise<V> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(new DOMException("The work was given up.", "AbortError"));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
