/** How the lines of the span log reach the capture. Never throws, never waits for a reader. */

import { readlinkSync } from "node:fs";
import { now, type Instant } from "./clock.js";
import { openSink, type Sink } from "./sinks.js";

/** What may wait in memory while the socket takes nothing, in bytes. */
const QUEUE_MAX = 4 * 1024 * 1024;
/** One send from the queue. The kernel takes few unread sends however short they are, so that it goes in large ones. */
const SEND_MAX = 64 * 1024;
/** How long the end of the program may wait for the socket, and how long until it is tried again, in milliseconds. */
const FAREWELL = 500;
const RETRY = 10;

/** A line without its instant, which JSON.stringify cannot write: it is a BigInt. */
function encoded(fields: object, at: Instant): string {
  const error = at.error > 0n ? `,"err_ns":${at.error}` : "";
  return `${JSON.stringify({ v: 1, ...fields }).slice(0, -1)},"boot_ns":${at.ns}${error}}\n`;
}

/** The kernel's id of this thread, in this process's pid namespace. */
function threadId(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/")[2]);
  } catch {
    return process.pid;
  }
}

/** The way to the capture: of this thread, as each thread has its own copy of this module. */
class Wire {
  private readonly paths = [process.env.ARGUS_SOCKET, process.env.ARGUS_SPAN_LOG] as const;
  /** Whether anybody listens, as far as is known. */
  listening = process.platform === "linux" && this.paths.some(Boolean);
  readonly tid = this.listening ? threadId() : 0;
  private sink: Sink | undefined;
  private held: string[] = [];
  private heldLength = 0;
  private queue: Buffer = Buffer.alloc(0);
  private lost = 0;
  private lostFrom = 0n;
  private retrying = false;

  constructor() {
    if (this.listening) process.on("exit", () => this.farewell());
  }

  /** Whether anybody listens, found out at the first use. */
  reachable(): boolean {
    if (this.listening && !this.sink) this.flush();
    return this.listening;
  }

  /** Sends a line, or queues it, or counts it as lost. With `more` it is held for the line or flush that follows, and
   * given, so that it can be taken back. */
  emit(fields: object, at: Instant, more = false): string | undefined {
    if (!this.listening) return undefined;
    const line = encoded(fields, at);
    // Once something is lost everything is, until the queue is empty: one clean gap, both ends of which are told.
    if (this.lost || this.queue.length + this.heldLength + line.length > QUEUE_MAX) {
      if (!this.lost) this.lostFrom = at.ns;
      this.lost += 1;
    } else {
      this.held.push(line);
      this.heldLength += line.length;
      if (more) return line;
    }
    if (!more) this.flush();
    return undefined;
  }

  /** Whether a line is held. */
  get holding(): boolean {
    return this.held.length > 0;
  }

  /** Forgets a line that is still held, and the last; whether it was. */
  takeBack(line: string): boolean {
    if (this.held.at(-1) !== line) return false;
    this.held.pop();
    this.heldLength -= line.length;
    return true;
  }

  /** What is held, which is so no more. */
  private takeHeld(): Buffer {
    const data = Buffer.from(this.held.join(""));
    this.held.length = this.heldLength = 0;
    return data;
  }

  /** Sends what there is. */
  flush(): void {
    if (!this.listening) return;
    try {
      this.sink ??= openSink(...this.paths);
      while (this.sendQueue()) {
        if (this.holding) {
          this.queue = this.takeHeld();
        } else if (this.lost) {
          const lost = { type: "lost", count: this.lost };
          const line = encoded(lost, now());
          this.queue = Buffer.from(`${line.slice(0, -2)},"from_boot_ns":${this.lostFrom}}\n`);
          this.lost = 0;
        } else {
          return;
        }
      }
      if (this.holding) this.queue = Buffer.concat([this.queue, this.takeHeld()]);
      this.retry();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") {
        this.close();
        this.retry();
      } else {
        // Nobody listens any more: from now on a span costs next to nothing.
        this.listening = false;
        this.takeHeld();
        this.queue = Buffer.alloc(0);
        this.close();
      }
    }
  }

  /** Sends as much as is taken; whether that was all. */
  private sendQueue(): boolean {
    while (this.queue.length > 0) {
      const taken = this.sink!.send(this.queue.subarray(0, SEND_MAX));
      if (taken === 0) return false;
      this.queue = this.queue.subarray(taken);
    }
    return true;
  }

  private retry(): void {
    if (this.retrying) return;
    this.retrying = true;
    setTimeout(() => {
      this.retrying = false;
      this.flush();
    }, RETRY).unref();
  }

  private close(): void {
    const sink = this.sink;
    this.sink = undefined;
    try {
      sink?.close();
    } catch {
      // It is closed already.
    }
  }

  /** At the end of the program, waits a little for what is still queued. */
  private farewell(): void {
    const end = Date.now() + FAREWELL;
    const never = new Int32Array(new SharedArrayBuffer(4));
    this.flush();
    while (this.listening && (this.queue.length > 0 || this.lost > 0) && Date.now() < end) {
      Atomics.wait(never, 0, 0, RETRY);
      this.flush();
    }
  }
}

export const wire = new Wire();
