import { expect, test } from "vitest";
import { OptionsError, parseOptions } from "../src/pages/connect/options";

test("options are texts, or what JSON says that they are", () => {
  expect(parseOptions('security=none\n\n slot = 2\nsecurity.mode=sign\nquality={"path": "q"}')).toEqual({
    security: "none",
    slot: 2,
    "security.mode": "sign",
    quality: { path: "q" },
  });
  expect(parseOptions("")).toEqual({});
});

test("a line that is no option is named", () => {
  expect(() => parseOptions("security=none\nslot")).toThrow(new OptionsError("slot"));
});
