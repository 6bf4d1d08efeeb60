import { expect, test } from "vitest";

import { estimateInWords, nextOpen } from "./review";

const open = { decision: null };
const decided = { decision: "keep" as const };

test("the next open one comes after the place, then from the start", () => {
  expect(nextOpen([open, decided, open], 1)).toBe(2);
  expect(nextOpen([open, decided, decided], 1)).toBe(0);
  expect(nextOpen([decided, decided], 0)).toBeUndefined();
  expect(nextOpen([], 0)).toBeUndefined();
});

test("an estimate is said with its interval", () => {
  expect(estimateInWords({ value: 0.1723, low: 0.14, high: 0.205 })).toBe("17.2 % (14.0 % to 20.5 %)");
});
