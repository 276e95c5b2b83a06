/**
 * CLOCK_BOOTTIME, the clock of the kernel's record, which Node cannot ask for. Its own clock is CLOCK_MONOTONIC, which
 * is the same but for the time that the machine slept: their distance is found with /proc/uptime.
 */

import { readFileSync } from "node:fs";

/** An instant: nanoseconds of CLOCK_BOOTTIME, and how far off they may be, either way. */
export interface Instant {
  readonly ns: bigint;
  readonly error: bigint;
}

/** /proc/uptime says boottime in steps of this, rounded down. */
const STEP = 10_000_000n;
/** An error that is not worth looking again. */
const ENOUGH = 100_000n;
/** Where nothing tells boottime, the error is as good as unbounded: 104 days. */
const UNKNOWN = BigInt(Number.MAX_SAFE_INTEGER);
/** By how much the wall clock may leave Node's, in milliseconds, before it is looked at whether the machine slept. */
const DRIFT = 20;

/** What /proc/uptime says, with Node's clock before and after. */
function look(): { before: bigint; boot: bigint; after: bigint } {
  const before = process.hrtime.bigint();
  const text = readFileSync("/proc/uptime", "latin1");
  const after = process.hrtime.bigint();
  const found = /^(\d+)\.(\d\d) /.exec(text);
  if (!found) throw new Error("/proc/uptime is of another shape");
  return { before, boot: BigInt(found[1] + found[2]) * STEP, after };
}

/** The distance from Node's clock to boottime, and its error. */
function measure(): { offset: bigint; error: bigint } {
  try {
    let seen = look();
    // The distance lies between these. A sleep lasts longer than a step, so that a distance that may be none is none.
    if (seen.boot - seen.after <= 0n && seen.boot + STEP - seen.before >= 0n) return { offset: 0n, error: 0n };
    // Boottime is never behind: this is the uptime of something else, such as a container.
    if (seen.boot < seen.after) return { offset: 0n, error: UNKNOWN };
    // The next step comes within 10 ms, and at its very instant boottime is a multiple of them. Looked at again where
    // something came in between.
    let best = { offset: seen.boot + STEP / 2n - seen.after, error: STEP };
    const deadline = seen.after + 4n * STEP;
    for (let next = look(); next.after < deadline && best.error > ENOUGH; seen = next, next = look()) {
      const error = (next.after - seen.before) / 2n + 1n;
      if (next.boot > seen.boot && error < best.error) best = { offset: next.boot - seen.before - error, error };
    }
    return best;
  } catch {
    return { offset: 0n, error: UNKNOWN };
  }
}

let distance: { offset: bigint; error: bigint } | undefined;
/** The wall clock less Node's, in milliseconds, when that was measured. */
let wall = 0;

/** Now. */
export function now(): Instant {
  let node = process.hrtime.bigint();
  const apart = Date.now() - Number(node / 1_000_000n);
  // A sleep moves the wall clock, and Node's not; so does setting it, which is found out to be no sleep.
  if (!distance || Math.abs(apart - wall) > DRIFT) {
    distance = measure();
    wall = apart;
    node = process.hrtime.bigint();
  }
  return { ns: node + distance.offset, error: distance.error };
}
