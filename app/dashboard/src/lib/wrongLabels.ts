/** ⑤ What probes say of wrong labels, as `sondage/tagging/wrong_labels.py` writes it. Older reports lack it. */

import { share } from "./format";

export interface Estimate {
  value: number | null;
  low: number;
  high: number;
}

export interface WrongLabels {
  method: "probes" | "votes";
  is_uniform: boolean;
  num_flips?: number;
  share_wrong: Estimate | null;
  families: { name: string; share: number; num_flips: number; assumption: string }[];
  top_lists: (Estimate & { k: number })[];
  assumption: string;
}

export function parseWrongLabels(report: Record<string, unknown>): WrongLabels | undefined {
  const found = report.wrong_labels;
  return typeof found === "object" && found !== null ? (found as WrongLabels) : undefined;
}

/** “20.0 % (17.0 % to 23.1 %)”; without a value the range alone. */
export function estimateInWords({ value, low, high }: Estimate): string {
  const range = `${share(low, 1)} to ${share(high, 1)}`;
  return value === null ? range : `${share(value, 1)} (${range})`;
}
