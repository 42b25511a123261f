/** Options of a driver as people type them: `key=value` on lines of their own; values are as in JSON, or texts. */

export class OptionsError extends Error {}

/** Raises OptionsError with the line that is none. */
export function parseOptions(text: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line === "") continue;
    const at = line.indexOf("=");
    if (at < 1) throw new OptionsError(line);
    found[line.slice(0, at).trim()] = valueOf(line.slice(at + 1).trim());
  }
  return found;
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
