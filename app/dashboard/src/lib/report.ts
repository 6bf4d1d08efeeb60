/** ⑤ The report of a tagging as the screen needs it. Parts that an older or newer tagger leaves out are left out. */

import { parseParts, type ReportParts } from "./reportParts";

export interface Evaluation {
  numHeldOut: number | undefined;
  accuracy: number | undefined;
  counts: number[][] | undefined;
  shares: (number | null)[][] | undefined;
  precision: Record<string, number | null>;
  recall: Record<string, number | null>;
}

export interface Quartiles {
  q25: number | null;
  median: number | null;
  q75: number | null;
  share_never: number | null;
}

export interface RunReport extends Evaluation {
  name: string;
  k: number | undefined;
  numEpochs: number | undefined;
  numProbes: Record<string, { fit?: number; held_out?: number }>;
  learned: Record<string, { first?: Quartiles; stays?: Quartiles }>;
}

export interface Report {
  tagger: string | undefined;
  protocol: unknown;
  categories: { name: string; wrongLabel: boolean | null | undefined }[];
  heldOutTrainedOn: boolean | undefined;
  /** How many were tagged, displaced by probes, left without a suspicion, not trained. */
  numExamples: Record<string, number>;
  overall: Evaluation | undefined;
  /** Of held-out probes that no run trained on; undefined where there is none beside those of `overall`. */
  notTrainedOn: Evaluation | undefined;
  runs: RunReport[];
  parts: ReportParts;
  warnings: string[];
}

type Json = Record<string, unknown>;

export function parseReport(report: Json): Report {
  return {
    tagger: text(report.tagger),
    protocol: report.protocol,
    categories: list(report.categories).map(category),
    heldOutTrainedOn: typeof report.held_out_trained_on === "boolean" ? report.held_out_trained_on : undefined,
    numExamples: record(report.num_examples),
    overall: isObject(report.overall) ? evaluation(report.overall) : undefined,
    notTrainedOn: isObject(report.not_trained_on) ? evaluation(report.not_trained_on) : undefined,
    parts: parseParts(report),
    runs: list(report.runs).filter(isObject).map(runReport),
    warnings: list(report.warnings).map(String),
  };
}

function category(value: unknown): Report["categories"][number] {
  if (!isObject(value)) return { name: String(value), wrongLabel: undefined };
  const wrong = value.wrong_label;
  return { name: String(value.name), wrongLabel: typeof wrong === "boolean" || wrong === null ? wrong : undefined };
}

function evaluation(value: Json): Evaluation {
  const confusion = isObject(value.confusion) ? value.confusion : {};
  return {
    numHeldOut: number(value.num_held_out),
    accuracy: number(value.accuracy),
    counts: Array.isArray(confusion.counts) ? (confusion.counts as number[][]) : undefined,
    shares: Array.isArray(confusion.shares) ? (confusion.shares as (number | null)[][]) : undefined,
    precision: record<number | null>(value.precision),
    recall: record<number | null>(value.recall),
  };
}

function runReport(value: Json): RunReport {
  return {
    ...evaluation(value),
    name: text(value.run) ?? "run",
    k: number(value.k),
    numEpochs: number(value.num_epochs),
    numProbes: record(value.num_probes),
    learned: record(value.learned),
  };
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** What stands in it was written by our own evaluate.py; only its absence is to be borne. */
function record<Value>(value: unknown): Record<string, Value> {
  return isObject(value) ? (value as Record<string, Value>) : {};
}
