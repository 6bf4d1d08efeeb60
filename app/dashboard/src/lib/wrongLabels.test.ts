import { expect, test } from "vitest";

import { estimateInWords, parseWrongLabels } from "./wrongLabels";

test("an estimate has its interval, and a range stands alone", () => {
  expect(estimateInWords({ value: 0.2, low: 0.17, high: 0.231 })).toBe("20.0 % (17.0 % to 23.1 %)");
  expect(estimateInWords({ value: null, low: 0, high: 0.3 })).toBe("0.0 % to 30.0 %");
});

test("a report of a tagger that only votes has none", () => {
  expect(parseWrongLabels({ wrong_labels: null })).toBeUndefined();
  expect(parseWrongLabels({})).toBeUndefined();
});
