import { expect, test } from "vitest";

import { looksInWords, parseParts, settledInWords } from "./reportParts";

const settling = { num_sampled: 100, num_epochs: 30, share_needed: 0.95, epochs: [1, 14, 30], share_equal: [0.3, 0.96, 1], settled_after: 14 };

test("parts as report_parts.py writes them", () => {
  const parts = parseParts({ settling, stability: { flip_rate: null }, per_class: null });
  expect(parts.settling?.share_equal).toEqual([0.3, 0.96, 1]);
  expect(parts.stability?.flip_rate).toBeNull();
  expect(parts.perClass).toBeUndefined();
});

test("an older report has none of them", () => {
  expect(parseParts({})).toEqual({ epochs: undefined, reliability: undefined, stability: undefined, settling: undefined, perClass: undefined });
});

test("when tags settled, in words", () => {
  expect(settledInWords(settling)).toBe("At epoch 14 of 30");
  expect(settledInWords({ ...settling, settled_after: null })).toBe("Not within 30 epochs");
  expect(settledInWords({ ...settling, epochs: [] })).toBeUndefined();
  expect(settledInWords(undefined)).toBeUndefined();
});

test("which looks count, in words", () => {
  const run = { run: "one", weights: [0.5, 0.5] };
  expect(looksInWords([{ ...run, look_epoch: 11 }, { ...run, look_epoch: 3 }, { ...run, look_epoch: 11 }])).toBe("features looked at after epoch 4 and 12");
  expect(looksInWords([{ ...run, look_epoch: 1, look_weight: 2.613 }, { ...run, look_epoch: 1, look_weight: 0.9 }])).toBe(
    "features looked at after epoch 2, which weighs 0.9 and 2.6 times the margins",
  );
  expect(looksInWords([{ ...run, look_epoch: null }])).toBeUndefined();
});
