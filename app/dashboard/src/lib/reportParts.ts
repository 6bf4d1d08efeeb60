/** ⑤ What a report says beside the held-out probes, as `sondage/tagging/report_parts.py` writes it. Older reports lack it. */

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
  perClass: PerClass | undefined;
}

export function parseParts(report: Record<string, unknown>): ReportParts {
  return {
    reliability: part(report.reliability) as Reliability | undefined,
    stability: part(report.stability) as Stability | undefined,
    epochs: part(report.evidence) as EpochsOfRun[] | undefined,
    settling: part(report.settling) as Settling | undefined,
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

/** Written by our own report_parts.py; only its absence is to be borne. */
const part = (value: unknown): unknown => (typeof value === "object" && value !== null ? value : undefined);
