import { expect, test } from "vitest";
import { peakAt, rms } from "../src/pages/blocks/numbers";

test("what is told of the numbers of a block", () => {
  expect([rms([3, -4, 3, -4]), rms([])]).toEqual([Math.sqrt(12.5), 0]);
  expect([peakAt([1, -5, 4]), peakAt([9, 1, 2], 1), peakAt([])]).toEqual([1, 2, -1]);
});

test("a block of sixteen thousand numbers is no problem", () => {
  expect(rms(Array.from({ length: 16_384 }, (_, i) => Math.SQRT2 * Math.sin(i)))).toBeCloseTo(1, 3);
});
