/** The last `capacity` points of one signal; the oldest is overwritten, so memory never grows. */
export class Ring {
  private readonly times: Float64Array;
  private readonly values: Float64Array;
  private next = 0;
  private count = 0;

  constructor(readonly capacity: number) {
    this.times = new Float64Array(capacity);
    this.values = new Float64Array(capacity);
  }

  get length(): number {
    return this.count;
  }

  /** Time in ms of the newest point, or -Infinity when there is none. */
  get lastTime(): number {
    return this.count === 0 ? -Infinity : this.times[(this.next + this.capacity - 1) % this.capacity]!;
  }

  /** Add a point; NaN breaks the line. A point that is not newer than the last one is ignored: it is a repeat. */
  push(time: number, value: number): boolean {
    if (!(time > this.lastTime)) return false;
    this.times[this.next] = time;
    this.values[this.next] = value;
    this.next = (this.next + 1) % this.capacity;
    this.count = Math.min(this.count + 1, this.capacity);
    return true;
  }

  clear(): void {
    this.next = 0;
    this.count = 0;
  }

  /** The points from `since` (ms) on, oldest first, as pairs; NaN becomes null, which a chart draws as a gap. */
  pairs(since = -Infinity): [number, number | null][] {
    const result: [number, number | null][] = [];
    for (let i = 0; i < this.count; i++) {
      const at = (this.next - this.count + i + this.capacity) % this.capacity;
      const time = this.times[at]!;
      if (time < since) continue;
      const value = this.values[at]!;
      result.push([time, Number.isNaN(value) ? null : value]);
    }
    return result;
  }
}
