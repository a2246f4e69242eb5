const DATE_RESOLUTION_MS = 1000

/**
 * The server's time, from the `Date` headers of its answers and this device's clock.
 *
 * Each answer bounds the difference of the clocks: the header was written between sending and receiving and is cut to
 * whole seconds. The bounds of several answers together are narrower than one second.
 */
export class ServerClock {
  #lowest = Number.NEGATIVE_INFINITY
  #highest = Number.POSITIVE_INFINITY
  readonly #deviceMs: () => number

  constructor(deviceMs: () => number = Date.now) {
    this.#deviceMs = deviceMs
  }

  /** Milliseconds by which the server's clock is ahead of this device; 0 until the first answer. */
  get offsetMs(): number {
    return Number.isFinite(this.#lowest) ? (this.#lowest + this.#highest) / 2 : 0
  }

  /** The server's time, in milliseconds since the epoch. */
  nowMs(): number {
    return this.#deviceMs() + this.offsetMs
  }

  /** Read the `Date` header of an answer to a request sent at `sentAtMs` of this device's clock. */
  observe(response: Response, sentAtMs: number): void {
    const date = Date.parse(response.headers.get('Date') ?? '')
    if (Number.isNaN(date)) return
    this.#narrow(date - this.#deviceMs(), date + DATE_RESOLUTION_MS - sentAtMs)
  }

  /** Take a time that the server has just stated, for example in a refused proof. */
  set(serverMs: number): void {
    this.#lowest = this.#highest = serverMs - this.#deviceMs()
  }

  #narrow(lowest: number, highest: number): void {
    const both = [Math.max(this.#lowest, lowest), Math.min(this.#highest, highest)] as const
    // Bounds that exclude each other mean that one of the clocks was set: only the newest counts.
    ;[this.#lowest, this.#highest] = both[0] <= both[1] ? both : [lowest, highest]
  }
}
