import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { pageWords } from "../src/i18n";
import en from "../src/i18n/en";
import { pages } from "../src/pages/pages";

const FOLDER = join(import.meta.dirname, "../src/pages");
const nouns = readdirSync(FOLDER, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

const word = (key: string): unknown =>
  key.split(".").reduce<unknown>((words, part) => (words as Record<string, unknown> | undefined)?.[part], pageWords("en"));

test("every folder of pages is a page, and has its words", () => {
  expect([...pages.keys()].sort()).toEqual(nouns.sort());
  expect(Object.keys(pageWords("en")).sort()).toEqual(nouns.sort());
  expect(Object.keys(en).filter((noun) => nouns.includes(noun))).toEqual([]);
});

describe.each([...pages])("%s", (noun, page) => {
  test("is called something, and is there", () => {
    expect(word(page.name)).toEqual(expect.any(String));
    expect(page.name.split(".")[0]).toBe(noun);
    expect(existsSync(join(FOLDER, noun, "View.vue"))).toBe(true);
  });

  test("has an address of its own, which the cloud's list has, too", () => {
    expect([...pages.values()].filter(({ route }) => route === page.route)).toEqual([page]);
    // the list is taken from the source
    expect(readFileSync(join(FOLDER, noun, "page.ts"), "utf8")).toContain(`\n  route: "${page.route}",\n`);
  });

  test("has a place of its own in its menu", () => {
    const beside = [...pages.values()].filter(({ menu }) => menu && menu.in === page.menu?.in && menu.order === page.menu.order);
    expect(beside).toEqual(page.menu ? [page] : []);
    if (page.menu) expect(page.menu.icon).toMatch(/^M[\d .a-zA-Z-]+$/);
  });
});
