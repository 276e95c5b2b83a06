/** One call, from its start to its end. */

import { randomBytes } from "node:crypto";
import { now } from "./clock.js";
import { closed, current, opened, root, unsure, type Current } from "./current.js";
import { kept, textOf } from "./values.js";
import { wire } from "./wire.js";

/** What a span may be. */
export type Kind = "agent" | "llm" | "tool" | "step";

/** What a call says that it may touch, each a list of patterns. */
export interface Declares {
  readonly hosts?: readonly string[];
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  readonly delete?: readonly string[];
  readonly exec?: readonly string[];
}

/** What is told of a call when it begins. */
export interface Told {
  readonly declares?: Declares;
  /** The arguments, for the record; of a wrapped function, its own where this is left out. */
  readonly args?: unknown;
  /** The model's own id of the call. */
  readonly callId?: string;
}

/** One call. Its ids are those of W3C trace context, and empty without a capture. */
export class Span implements Current {
  id = "";
  trace = "";
  /** What the call gave back, and how it went where it does not throw: to be set for the record. */
  result: unknown;
  status: string | undefined;

  constructor(
    readonly kind: Kind,
    readonly name: string,
    private readonly told: Told = {},
  ) {}

  /** What hands the span to another process as its `TRACEPARENT`; empty without a capture. */
  get traceparent(): string {
    return traceparent(this);
  }

  /** Opens it; whether anybody listens. @internal */
  start(): boolean {
    try {
      if (!wire.reachable()) return false;
      const inside = current();
      const above = inside === unsure ? undefined : (inside ?? root);
      const id = randomBytes(8).toString("hex");
      this.trace = above?.trace ?? randomBytes(16).toString("hex");
      const { args, declares, callId } = this.told;
      const fields = {
        type: "start",
        span: id,
        trace: this.trace,
        parent: above?.id ?? null,
        kind: this.kind,
        name: textOf(this.name),
        pid: process.pid,
        tid: wire.tid,
        ...(callId === undefined ? {} : { call_id: textOf(callId) }),
        ...(args === undefined ? {} : { args: kept(args) }),
        ...(declares === undefined ? {} : { declares: kept(declares) }),
      };
      // Sent with the mark.
      wire.emit(fields, now(), true);
      this.id = id;
      opened();
      return true;
    } catch {
      // The call matters more than the word of it.
      return false;
    }
  }

  /** Closes it. @internal */
  end(...errors: unknown[]): void {
    if (!this.id) return;
    try {
      const status = this.status ?? (errors.length === 0 ? "ok" : statusOf(errors[0]));
      const failure = status === "error" && errors.length > 0 ? { error: saidBy(errors[0]) } : undefined;
      const result = this.result ?? failure;
      const told = result === undefined ? {} : { result: kept(result) };
      wire.emit({ type: "end", span: this.id, status: textOf(status), ...told }, now());
    } catch {
      // As above: what the call throws is its own.
    }
    closed();
  }
}

/** What hands a span to another process. */
export function traceparent(span: Current): string {
  return span.id ? `00-${span.trace}-${span.id}-01` : "";
}

function statusOf(error: unknown): string {
  return (error as { name?: unknown } | undefined)?.name === "AbortError" ? "cancelled" : "error";
}

function saidBy(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${textOf(error.message)}` : textOf(error);
}
