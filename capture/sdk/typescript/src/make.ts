/** `tool`, `llm`, `agent` and `step`, which wrap functions, and `span`, which wraps a block. */

import { workingFor } from "./current.js";
import { Span, type Kind, type Told } from "./spans.js";
import { wire } from "./wire.js";

type Call = (...args: any[]) => any;

/** Wraps a function so that each call of it is a span: plain, asynchronous, or a generator of either sort. */
export type Wrap = <F extends Call>(name: string, fn: F, told?: Told) => F;

function wrapper(kind: Kind): Wrap {
  return <F extends Call>(name: string, fn: F, told: Told = {}): F => {
    const wrapped = function (this: unknown, ...args: unknown[]): unknown {
      if (!wire.listening) return Reflect.apply(fn, this, args);
      const given = "args" in told ? told.args : args.length === 1 && isPlain(args[0]) ? args[0] : args;
      return run(new Span(kind, name, { ...told, args: given }), () => Reflect.apply(fn, this, args));
    };
    // What reads a function's name or number of parameters reads the same.
    for (const property of ["name", "length"] as const) {
      Object.defineProperty(wrapped, property, { value: fn[property], configurable: true });
    }
    return wrapped as F;
  };
}

/** A tool: `tool("read_config", readConfig, { declares: { read: ["/etc/app/**"] } })`. */
export const tool = wrapper("tool");
/** A call of a model; used like `tool`. */
export const llm = wrapper("llm");
/** An agent's run; used like `tool`. */
export const agent = wrapper("agent");
/** A step that is none of the others; used like `tool`. */
export const step = wrapper("step");

/** Runs a block as a span, a tool's unless another `kind` is told, and gives what it gives. */
export function span<T>(name: string, told: Told & { readonly kind?: Kind }, body: (span: Span) => T): T {
  const { kind = "tool", ...rest } = told;
  const opened = new Span(kind, name, rest);
  return run(opened, () => body(opened));
}

function run<T>(span: Span, body: () => T): T {
  if (!span.start()) return body();
  let result: T;
  try {
    result = workingFor(span, body);
  } catch (error) {
    span.end(error);
    throw error;
  }
  return followed(span, result) as T;
}

/** What a call gave back, with the span's end where it ends. */
function followed(span: Span, result: unknown): unknown {
  if (result instanceof Promise) {
    const done = result.then(
      (value) => {
        span.result ??= value;
        span.end();
        return value;
      },
      (error) => {
        span.end(error);
        throw error;
      },
    );
    if (result.constructor === Promise) return done;
    // One with methods of its own, as some clients give, goes to the caller as it is.
    done.catch(() => {});
    return result;
  }
  const sort = Object.prototype.toString.call(result);
  if (sort === "[object Generator]" || sort === "[object AsyncGenerator]") {
    return stepped(span, result as Generator & AsyncGenerator);
  }
  span.result ??= result;
  span.end();
  return result;
}

/** A generator whose span is open until its end, and current only while a step of it runs. */
function stepped(span: Span, generator: Generator & AsyncGenerator): unknown {
  let ended = false;
  const note = (end: () => void): void => {
    if (!ended) {
      ended = true;
      end();
    }
  };
  const seen = (step: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (step.done) {
      note(() => {
        span.result ??= step.value;
        span.end();
      });
    }
    return step;
  };
  const failed = (error: unknown): never => {
    note(() => span.end(error));
    throw error;
  };
  for (const name of ["next", "return", "throw"] as const) {
    const method: Call = generator[name];
    const value = (...args: unknown[]): unknown => {
      try {
        const step = workingFor(span, () => Reflect.apply(method, generator, args));
        return step instanceof Promise ? step.then(seen, failed) : seen(step);
      } catch (error) {
        return failed(error);
      }
    };
    Object.defineProperty(generator, name, { value, configurable: true, writable: true });
  }
  return generator;
}

function isPlain(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
