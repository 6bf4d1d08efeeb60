import { expect, test } from "vitest";

import { hasInputs, modalityInWords, runInShort, runsInWords, trainingInWords } from "./training";

const trained = { name: "pets-s1", seed: 1, recorded: false, recipe: { model: "convnet", lr: 0.1 }, protocol: {} };
const recorded = { name: "mine", seed: 0, recorded: true, recipe: {}, protocol: { pass: "training" } };

test("a training of the worker's has a seed and a recipe", () => {
  expect(trainingInWords(trained)).toBe("seed 1 · convnet · lr 0.1");
  expect(runInShort(trained)).toBe("Seed 1");
});

test("a recorded run says so, and no seed that nobody set", () => {
  expect(trainingInWords(recorded)).toBe("recorded by its own loop");
  expect(trainingInWords({ ...recorded, protocol: { training_loss: "mixup", augment: null } })).toBe("recorded by its own loop · mixup");
  expect(runInShort(recorded)).toBe("mine");
});

test("the runs of a tagging", () => {
  expect(runsInWords([trained, { ...trained, name: "pets-s0", seed: 0 }])).toBe("pets, seeds 0, 1");
  expect(runsInWords([trained])).toBe("pets, seed 1");
  expect(runsInWords([recorded])).toBe("mine, recorded by its own loop");
  expect(runsInWords([recorded, { ...recorded, name: "second" }])).toBe("mine, second, recorded by their own loop");
  expect(runsInWords([recorded, trained])).toBe("mine, pets, seed 1");
});

test("a dataset of labels alone", () => {
  expect(modalityInWords({ modality: "none" })).toBe("labels only");
  expect(modalityInWords({ modality: "text" })).toBe("text");
  expect(hasInputs({ modality: "none" })).toBe(false);
});
