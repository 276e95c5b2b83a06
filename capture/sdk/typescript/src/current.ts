/**
 * Which span is current, and the marks that say so.
 *
 * The current span is kept by AsyncLocalStorage, so that it follows asynchronous calls. The operating system knows only
 * threads: whenever the span that this thread works for changes, a mark says so.
 */

import { AsyncLocalStorage, AsyncResource, createHook } from "node:async_hooks";
import { isMainThread, parentPort } from "node:worker_threads";
import { now } from "./clock.js";
import { wire } from "./wire.js";

/** What is needed of a span to work for it. */
export interface Current {
  readonly id: string;
  readonly trace: string;
}

const storage = new AsyncLocalStorage<Current>();

/** The span that this process or worker thread was started by, when its environment names one. */
export const root: Current | undefined = (() => {
  const found = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(process.env.TRACEPARENT ?? "");
  return found ? { trace: found[1], id: found[2] } : undefined;
})();

/** What a thread works for of which nobody knows for whom it does. */
export const unsure: Current = { id: "", trace: "" };
/** The span that started this worker thread. */
const starter = isMainThread ? undefined : root;
/** What this thread works for outside of its spans: a worker thread, for who started it, until it listens to others. */
let own = starter;

/** What was said last, and before that if the last is still held. */
let said: Current | undefined;
let before: Current | undefined;
/** The last mark, if it is held. */
let held: string | undefined;
let flushing = false;

/** The innermost open span of this asynchronous context. */
export function current(): Current | undefined {
  return storage.getStore() ?? own;
}

/** Says which span this thread works for from now on, unless that was said last. */
function mark(span: Current | undefined, more = false): void {
  // What it goes back to may be what it worked for before it listened.
  if (span !== undefined && span === starter) span = own;
  if (span === said || !wire.listening) return;
  before = said;
  said = span;
  const how = span === unsure ? { how: "unsure" } : span !== undefined && span === starter ? { how: "inherited" } : {};
  held = wire.emit({ type: "mark", pid: process.pid, tid: wire.tid, span: span?.id || null, ...how }, now(), more);
}

/** Before a callback: back to the same span with nothing between but the loop's own work is no switch to speak of. */
function enter(span: Current | undefined): void {
  if (span === said) {
    if (wire.holding) wire.flush();
  } else if (held !== undefined && span === before && wire.takeBack(held)) {
    said = span;
    held = undefined;
  } else {
    mark(span);
  }
}

/** After one: sent together with the mark of the next, or by the end of the loop's round. */
function leave(span: Current | undefined): void {
  mark(span, true);
  if (!flushing && wire.holding) {
    flushing = true;
    setImmediate(() => {
      flushing = false;
      wire.flush();
    });
  }
}

/** The callbacks that are running, the innermost last, each with what the thread worked for before it. */
const running: { id: number; outer: Current | undefined }[] = [];

const hook = createHook({
  before(id) {
    running.push({ id, outer: said });
    enter(current());
  },
  after(id) {
    // Those that an error ended have no end of their own.
    for (let last = running.pop(); last; last = running.pop()) {
      if (last.id === id) return leave(last.outer);
    }
    // It began before the first span.
    leave(own);
  },
});

if (wire.listening) {
  // From Node 24 on, this changes to the resource's own context only after the hook was called.
  const scoped: (...args: any[]) => any = AsyncResource.prototype.runInAsyncScope;
  AsyncResource.prototype.runInAsyncScope = function (fn: any, ...rest: any[]): any {
    const entered = function (this: unknown, ...args: unknown[]): unknown {
      if (open > 0) enter(current());
      return Reflect.apply(fn, this, args);
    };
    return Reflect.apply(scoped, this, [entered, ...rest]);
  };
}

let open = 0;

/** Follows the callbacks of this thread while a span is open; with none open there is nothing to tell. */
export function opened(): void {
  if (open++ === 0) hook.enable();
}

/** The counterpart of `opened`. */
export function closed(): void {
  if (--open === 0) {
    hook.disable();
    running.length = 0;
    wire.flush();
  }
}

/** Calls it with a span current. */
export function workingFor<T>(span: Current, body: () => T): T {
  const outer = current();
  return storage.run(span, () => {
    mark(span);
    try {
      return body();
    } finally {
      mark(outer, true);
    }
  });
}

/** Who listens for messages may be sent them for any call. */
function listens(): void {
  if (own !== starter) return;
  own = unsure;
  // This thread's own copy of the environment, in which its starter is named.
  if (process.env.TRACEPARENT?.includes(`-${starter?.id}-`)) delete process.env.TRACEPARENT;
  if (said === starter) mark(own);
}

if (own && wire.listening && parentPort) {
  const port: any = parentPort;
  mark(own);
  for (const name of ["on", "once", "addListener", "addEventListener"]) {
    const add = port[name];
    port[name] = function (event: unknown, ...rest: unknown[]): unknown {
      if (event === "message") listens();
      return Reflect.apply(add, this, [event, ...rest]);
    };
  }
  const handler = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(port), "onmessage");
  if (handler?.set) {
    const set = handler.set;
    Object.defineProperty(port, "onmessage", {
      ...handler,
      set(value: unknown) {
        listens();
        set.call(port, value);
      },
    });
  }
}
