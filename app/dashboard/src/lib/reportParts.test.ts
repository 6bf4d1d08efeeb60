import { expect, test } from "vitest";

import { intervalInWords, looksInWords, type OrderQuality, parseParts, separations, settledInWords, topListInWords } from "./reportParts";

const settling = { num_sampled: 100, num_epochs: 30, share_needed: 0.95, epochs: [1, 14, 30], share_equal: [0.3, 0.96, 1], settled_after: 14 };

test("parts as report_parts.py writes them", () => {
  const parts = parseParts({ settling, stability: { flip_rate: null }, per_class: null });
  expect(parts.settling?.share_equal).toEqual([0.3, 0.96, 1]);
  expect(parts.stability?.flip_rate).toBeNull();
  expect(parts.perClass).toBeUndefined();
});

test("an older report has none of them", () => {
  expect(parseParts({})).toEqual({ epochs: undefined, reliability: undefined, stability: undefined, settling: undefined, orderQuality: undefined, perClass: undefined });
});

const area = { num: 408, auroc: 0.90286, low: 0.87837, high: 0.92286 };
const quality: OrderQuality = {
  runs: [
    { run: "one", trained_on: { num_wrong: 136, against_right: area, against_examples: { ...area, num: 4092 } }, not_trained_on: null },
    { run: "other", trained_on: null, not_trained_on: { num_wrong: 9, against_right: area, against_examples: null } },
  ],
  top_list: { num_examples: 3820, by_tags: true, length: 761, flip_rate: 0.139, by_chance: 0.801 },
};

test("how far held-out wrong labels stand out: a row for what is known", () => {
  expect(separations(quality).map(({ run, wrong, against, area: { num } }) => [run, wrong, num, against].join(" "))).toEqual([
    "one 136 trained on 408 probes with right labels",
    "one 136 trained on 4092 examples",
    "other 9 not trained on 408 probes with right labels",
  ]);
  expect(intervalInWords(area)).toBe("87.8 % to 92.3 %");
});

test("how much of the top another training changes, in words", () => {
  expect(topListInWords(quality.top_list)).toBe(
    "Of the first 761 (as many as are tagged as wrong) of the 3,820 examples that two runs trained, 13.9 % are not among the other run's; 80.1 % if the runs knew nothing of each other.",
  );
  expect(topListInWords({ num_examples: 3820, by_tags: false, length: 761, flip_rate: 0.1, by_chance: 0.8 })).toContain("the first 761 (5 %, since none is tagged as wrong)");
  expect(topListInWords(null)).toContain("One run");
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
