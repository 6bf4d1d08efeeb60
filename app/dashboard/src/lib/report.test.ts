import { expect, test } from "vitest";

import { parseReport } from "./report";

test("a report as evaluate.py writes it", () => {
  const quartiles = { q25: 1, median: 2, q75: 4, share_never: 0.1 };
  const numbers = { num_held_out: 4, accuracy: 0.75, confusion: { counts: [[2, 0], [1, 1]], shares: [[1, 0], [0.5, 0.5]] } };
  const report = parseReport({
    tagger: "reference",
    protocol: "training pass",
    categories: [{ name: "noisy", wrong_label: true }, { name: "ood", wrong_label: null }],
    held_out_trained_on: true,
    num_examples: { tagged: 90, not_trained: 10 },
    overall: { ...numbers, precision: { noisy: 2 / 3, ood: 1 }, recall: { noisy: 1, ood: 0.5 } },
    runs: [{ run: "demo", k: 20, num_epochs: 30, ...numbers, num_probes: { noisy: { fit: 2, held_out: 2 } }, learned: { noisy: { first: quartiles } } }],
    warnings: ["Few probes."],
  });
  expect(report.categories).toEqual([{ name: "noisy", wrongLabel: true }, { name: "ood", wrongLabel: null }]);
  expect(report.overall).toMatchObject({ numHeldOut: 4, accuracy: 0.75, counts: [[2, 0], [1, 1]], recall: { ood: 0.5 } });
  expect(report.runs[0]).toMatchObject({ name: "demo", k: 20, numProbes: { noisy: { fit: 2 } } });
  expect(report.runs[0]?.learned.noisy?.first).toEqual(quartiles);
  expect(report.warnings).toEqual(["Few probes."]);
  expect(report.numExamples).toEqual({ tagged: 90, not_trained: 10 });
});

test("parts that are not there are borne", () => {
  expect(parseReport({})).toMatchObject({ categories: [], runs: [], warnings: [], numExamples: {}, overall: undefined });
  expect(parseReport({ categories: ["own"], overall: { accuracy: null }, runs: [{}] })).toMatchObject({
    categories: [{ name: "own" }],
    overall: { accuracy: undefined, counts: undefined, precision: {} },
    runs: [{ name: "run", learned: {} }],
  });
});
