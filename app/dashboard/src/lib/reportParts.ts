/** ⑤ What a report says beside the held-out probes, as `sondage/tagging/report_parts.py` writes it. Older reports lack it. */

import { count, share } from "./format";

export interface Stability {
  num_runs: number;
  num_examples: number;
  flip_rate: number | null;
  by_category: Record<string, number>;
  by_chance: number | null;
  from_probes: number | null;
  exchanges: { categories: [string, string]; share: number }[];
}

export interface Settling {
  num_sampled: number;
  num_epochs: number;
  share_needed: number;
  epochs: number[];
  share_equal: number[];
  settled_after: number | null;
}

export interface ClassRates {
  label: number;
  name: string;
  num_examples: number;
  num_suspects: number;
  share_suspects: number;
  tags: Record<string, number>;
}

export interface Pair {
  given_name: string;
  suggested_name: string;
  num: number;
  num_reverse: number;
  one_way: boolean;
}

export interface PerClass {
  suspect_above: number;
  num_examples: number;
  num_suspects: number;
  num_classes: number;
  /** Of the entries, so many are the worst classes; those after them are the best. */
  num_worst: number;
  num_left_out: number;
  classes: ClassRates[];
  num_pairs: number;
  pairs: Pair[];
}

export interface Reliability {
  error: number | null;
  bins: { low: number; high: number; num: number; mean_share: number; share_right: number }[];
}

/** Area under the ROC curve, with its 90 % interval, of `num` others. */
export interface Area {
  num: number;
  auroc: number;
  low: number;
  high: number;
}

interface WrongAgainst {
  num_wrong: number;
  against_right: Area | null;
  against_examples: Area | null;
}

/** How good the order by evidence is, as `sondage/tagging/order_quality.py` writes it. */
export interface OrderQuality {
  runs: { run: string; trained_on: WrongAgainst | null; not_trained_on: WrongAgainst | null }[];
  top_list: { num_examples: number; by_tags: boolean; length: number; flip_rate: number; by_chance: number } | null;
}

/** What the order by evidence rests on, per run; the look's epoch counts from 0. */
export interface EpochsOfRun {
  run: string;
  weights: number[];
  look_epoch: number | null;
  /** Of the look, where the margin weighs 1; taggings of before have none. */
  look_weight?: number | null;
}

export interface ReportParts {
  epochs: EpochsOfRun[] | undefined;
  reliability: Reliability | undefined;
  stability: Stability | undefined;
  settling: Settling | undefined;
  orderQuality: OrderQuality | undefined;
  perClass: PerClass | undefined;
}

export function parseParts(report: Record<string, unknown>): ReportParts {
  return {
    reliability: part(report.reliability) as Reliability | undefined,
    stability: part(report.stability) as Stability | undefined,
    epochs: part(report.evidence) as EpochsOfRun[] | undefined,
    settling: part(report.settling) as Settling | undefined,
    orderQuality: part(report.order_quality) as OrderQuality | undefined,
    perClass: part(report.per_class) as PerClass | undefined,
  };
}

/** “Settled at epoch 14 of 30”; undefined where nothing is known. */
export function settledInWords(found: Settling | undefined): string | undefined {
  if (!found?.epochs.length) return undefined;
  if (found.settled_after === null) return `Not within ${found.num_epochs} epochs`;
  return `At epoch ${found.settled_after} of ${found.num_epochs}`;
}

/** “Features looked at after epoch 12, which weighs 2.6 times the margins”; undefined where no run was looked at. */
export function looksInWords(found: EpochsOfRun[]): string | undefined {
  const looks = [...new Set(found.flatMap(({ look_epoch }) => (look_epoch === null ? [] : [look_epoch + 1])))].sort((one, other) => one - other);
  if (!looks.length) return undefined;
  const weights = found.flatMap(({ look_weight }) => (look_weight == null ? [] : [look_weight.toFixed(1)]));
  const times = weights.length ? `, which weighs ${[...new Set(weights)].sort().join(" and ")} times the margins` : "";
  return `features looked at after epoch ${looks.join(" and ")}${times}`;
}

export interface Separation {
  run: string;
  /** “136 trained on”. */
  wrong: string;
  against: string;
  area: Area;
}

/** One row per run, kind of held-out probes with wrong labels, and what they are held against; without what is not known. */
export function separations({ runs }: OrderQuality): Separation[] {
  return runs.flatMap(({ run, trained_on, not_trained_on }) =>
    [
      { found: trained_on, words: "trained on" },
      { found: not_trained_on, words: "not trained on" },
    ].flatMap(({ found, words }) =>
      [
        { area: found?.against_right, against: "probes with right labels" },
        { area: found?.against_examples, against: "examples" },
      ].flatMap(({ area, against }) => (found && area ? [{ run, wrong: `${count(found.num_wrong)} ${words}`, against, area }] : [])),
    ),
  );
}

/** “87.8 % to 92.3 %”. */
export const intervalInWords = ({ low, high }: Area): string => `${share(low, 1)} to ${share(high, 1)}`;

/** What of the top of one run's list is not in the other's. */
export function topListInWords(found: OrderQuality["top_list"]): string {
  if (!found) return "One run: how much another training would change of the list is not known.";
  const length = found.by_tags ? "as many as are tagged as wrong" : "5 %, since none is tagged as wrong";
  return `Of the first ${count(found.length)} (${length}) of the ${count(found.num_examples)} examples that two runs trained, ${share(found.flip_rate, 1)} are not among the other run's; ${share(found.by_chance, 1)} if the runs knew nothing of each other.`;
}

/** Written by our own report_parts.py; only its absence is to be borne. */
const part = (value: unknown): unknown => (typeof value === "object" && value !== null ? value : undefined);
