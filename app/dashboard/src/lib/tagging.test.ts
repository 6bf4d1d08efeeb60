import { expect, test } from "vitest";

import { epochsInWords, heldOutInWords, seedsInWords } from "./tagging";

test("only a tagging by the first epochs says after how many", () => {
  expect(epochsInWords({ epochs: 5, of_epochs: 30 })).toBe("after 5 of 30 epochs");
  expect(epochsInWords({ epochs: 5, of_epochs: null })).toBe("after 5 epochs");
  expect(epochsInWords({ epochs: null, of_epochs: null })).toBeUndefined();
});

test("held-out accuracy is told once there is one", () => {
  expect(heldOutInWords({ held_out_accuracy: 0.714 })).toBe("71 % of held-out probes right");
  expect(heldOutInWords({ held_out_accuracy: null })).toBeUndefined();
});

test("one seed is no consensus", () => {
  expect(seedsInWords({ runs_trained: 2, runs_agreeing: 1 })).toBe("the same tag in 1 of 2 seeds");
  expect(seedsInWords({ runs_trained: 1, runs_agreeing: 1 })).toBeUndefined();
  expect(seedsInWords({ runs_trained: null, runs_agreeing: null })).toBeUndefined();
});
