import { expect, test } from "vitest";

import { effectInWords, stepOf, THRESHOLDS } from "./threshold";

const effect = { threshold: 0.9, num_wrong: 1234, precision: 0.951, precision_low: 0.9, precision_high: 0.98, recall: 0.5 };

test("a step is the nearest threshold, and steps go from sure to complete", () => {
  expect(THRESHOLDS).toEqual([...THRESHOLDS].sort((a, b) => b - a));
  expect(THRESHOLDS[stepOf(0.5)]).toBe(0.5);
  expect(stepOf(1)).toBe(0);
  expect(stepOf(0)).toBe(THRESHOLDS.length - 1);
});

test("what is estimated is told, and what is not known is said to be", () => {
  expect(effectInWords(effect)).toBe("1,234 with a chance above 0.9. About 95 % of them are wrong. 50 % of all wrong labels are among them.");
  const range = effectInWords({ ...effect, precision: null, recall: null });
  expect(range).toContain("1,234 examples. 90 % to 98 % of them are wrong, depending");
  expect(effectInWords({ ...effect, precision: null, precision_low: null, precision_high: null, recall: null })).toContain("not known");
  expect(effectInWords({ ...effect, num_wrong: 0 })).toBe("None.");
});
