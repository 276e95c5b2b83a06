/** What a call was given and gave back, as bounded values that every JSON reader takes. */

/** How much of a call's arguments, or of its result, is kept, in characters: a capture is no place for documents. */
const VALUE_MAX = 16 * 1024;
/** How deeply values may nest: the capture's JSON reader refuses a line beyond 128. */
const DEPTH_MAX = 32;

/** A copy that JSON can hold: what it cannot, as a word of it; what is too long or too deep is cut, and says so. */
export function kept(value: unknown): unknown {
  try {
    return new Copy().of(value, 0);
  } catch {
    // Such as a getter of the author's own that throws.
    return "(a value that could not be read)";
  }
}

/** A name, or what an error says; never throws, as the author's own toString may. */
export function textOf(value: unknown): string {
  try {
    return cut(String(value), VALUE_MAX);
  } catch {
    return "(a value without a text)";
  }
}

/** JSON readers refuse half of a surrogate pair. */
function cut(text: string, length: number): string {
  const whole = text.length <= length ? text : `${text.slice(0, length)}... (cut; ${text.length} characters)`;
  return whole.replace(/\p{Surrogate}/gu, "?");
}

/** One walk through a value, which ends when its room is used up: circles end there too. */
class Copy {
  private room = VALUE_MAX;

  of(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return this.text(value);
      case "number":
        this.room -= 8;
        return Number.isFinite(value) ? value : String(value);
      case "boolean":
        this.room -= 4;
        return value;
      case "object":
        if (value !== null) return this.object(value, depth);
        this.room -= 4;
        return null;
      case "undefined":
        this.room -= 4;
        return null;
      case "function":
        return this.text(`(function ${value.name})`);
      default:
        return this.text(String(value));
    }
  }

  private object(value: object, depth: number): unknown {
    if (depth === DEPTH_MAX) return this.text("(nested too deeply)");
    if (value instanceof Error) return this.text(`${value.name}: ${value.message}`);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return this.bytes(value);
    const json = (value as { toJSON?: unknown }).toJSON;
    if (typeof json === "function") return this.of(json.call(value, ""), depth + 1);
    if (value instanceof Map) return this.members([...value], depth + 1);
    if (Array.isArray(value)) return this.members(value, depth + 1);
    if (value instanceof Set) return this.members([...value], depth + 1);
    const copy: Record<string, unknown> = Object.create(null);
    this.room -= 1;
    const names = Object.keys(value);
    for (const name of names) {
      if (this.room <= 0) {
        copy["..."] = `(cut; ${names.length} members)`;
        break;
      }
      // The name first, so that a long member does not use up its room.
      const key = this.text(name);
      copy[key] = this.of((value as Record<string, unknown>)[name], depth + 1);
    }
    return copy;
  }

  private members(values: readonly unknown[], depth: number): unknown {
    this.room -= 1;
    const copies: unknown[] = [];
    for (const value of values) {
      if (this.room <= 0) {
        copies.push(`... (cut; ${values.length} members)`);
        break;
      }
      copies.push(this.of(value, depth));
    }
    return copies;
  }

  private bytes(value: ArrayBuffer | ArrayBufferView): unknown {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value);
    const shown = bytes.subarray(0, Math.max(this.room, 0)).toString("latin1");
    return this.text(bytes.length <= shown.length ? shown : `${shown}... (cut; ${bytes.length} bytes)`);
  }

  private text(text: string): string {
    const shown = cut(text, Math.max(this.room, 0));
    this.room -= shown.length + 2;
    return shown;
  }
}
