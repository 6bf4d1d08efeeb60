/** Walking through a review sample. */

import type { Calibration, SampledTag } from "../api/types";
import { share } from "./format";

export const FEWEST_REVIEWS = 30;

/** The next one that nobody has decided on, from a place on and then from the start; undefined when all are decided. */
export function nextOpen(items: Pick<SampledTag, "decision">[], from: number): number | undefined {
  const open = (item: Pick<SampledTag, "decision"> | undefined) => item !== undefined && !item.decision;
  for (let step = 0; step < items.length; step += 1) {
    const place = (from + step) % items.length;
    if (open(items[place])) return place;
  }
  return undefined;
}

/** "17.2 % (14.0 % to 20.5 %)" */
export function estimateInWords({ value, low, high }: Calibration["share_wrong"]): string {
  return `${share(value, 1)} (${share(low, 1)} to ${share(high, 1)})`;
}
