import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

const SOURCES = Object.keys(import.meta.glob("../src/**/*.{ts,vue}")).map((path) => normalize(path.slice("../".length)));

/** What a file imports of ours, types too; a page that is loaded when it is opened does not count. */
function imported(file: string): string[] {
  const text = readFileSync(join(import.meta.dirname, "..", file), "utf8");
  return [...text.matchAll(/(?:^|;\s*)(?:import|export)\s[^"';]*?from\s+"(\.[^"]+)"/gm)].flatMap(([, path]) => {
    const meant = join(dirname(file), path!);
    return SOURCES.filter((known) => [meant, `${meant}.ts`, `${meant}/index.ts`].includes(known));
  });
}

test("no file imports itself by way of others", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  function follow(file: string, path: readonly string[]): void {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
    if (done.has(file) || path.includes(file)) return;
    for (const next of imported(file)) follow(next, [...path, file]);
    done.add(file);
  }
  for (const file of SOURCES) follow(file, []);
  expect(SOURCES.length).toBeGreaterThan(50);
  expect(circles).toEqual([]);
});
