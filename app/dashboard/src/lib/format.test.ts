import { expect, test } from "vitest";

import { ago, decimal, duration, inline, plural, share } from "./format";

test.each([
  [null, "–"],
  [NaN, "–"],
  [0, "0"],
  [0.13, "0.130"],
  [-2.3149, "−2.31"],
  [2.3, "2.30"],
  [1234.6, "1,235"],
  [0.00012, "1.2e−4"],
  [12_345_678, "1.2e+7"],
])("decimal(%s) is %s", (value, text) => {
  expect(decimal(value)).toBe(text);
});

test.each([
  [0.4, "0 s"],
  [59, "59 s"],
  [60, "1 min"],
  [90, "1 min 30 s"],
  [599.6, "10 min"],
  [3599, "1 h"],
  [3601, "1 h"],
  [5400, "1 h 30 min"],
])("duration(%s) is %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test("how long ago", () => {
  const now = Date.parse("2026-11-21T12:00:00Z");
  expect(ago("2026-11-21T11:59:50Z", now)).toBe("just now");
  expect(ago("2026-11-21T11:50:00Z", now)).toBe("10 min ago");
  expect(ago("2026-11-21T09:00:00Z", now)).toBe("3 h ago");
  expect(ago("2026-11-18T12:00:00Z", now)).toBe("3 d ago");
});

test("shares, plurals and any JSON value", () => {
  expect(share(0.1234, 1)).toBe("12.3 %");
  expect(share(null)).toBe("–");
  expect(plural(1, "class", "classes")).toBe("1 class");
  expect(plural(1200, "run")).toBe("1,200 runs");
  expect([inline(30), inline(0.5), inline(true), inline("a"), inline([1]), inline(null)]).toEqual([
    "30",
    "0.5",
    "yes",
    "a",
    "[1]",
    "–",
  ]);
});
