/** The threshold of P(wrong) as a slider: its steps, and in words what one of them does. */

import type { ThresholdEffect } from "../api/types";
import { count, plural, share } from "./format";

/** From sure to complete. */
export const THRESHOLDS = [0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02];

/** The step nearest to a threshold. */
export function stepOf(threshold: number): number {
  const distances = THRESHOLDS.map((one) => Math.abs(one - threshold));
  return distances.indexOf(Math.min(...distances));
}

export function effectInWords(effect: ThresholdEffect): string {
  if (effect.num_wrong === 0) return "None.";
  // Without a precision the place on the slider is no chance.
  const said = [effect.precision === null ? `${plural(effect.num_wrong, "example")}.` : `${count(effect.num_wrong)} with a chance above ${effect.threshold}.`];
  if (effect.precision !== null) said.push(`About ${share(effect.precision)} of them are wrong.`);
  else if (effect.precision_low !== null && effect.precision_high !== null)
    said.push(`${share(effect.precision_low)} to ${share(effect.precision_high)} of them are wrong, depending on what errors are like: review 100.`);
  else said.push("How many of them are wrong is not known: review 100.");
  if (effect.recall !== null) said.push(`${share(effect.recall)} of all wrong labels are among them.`);
  return said.join(" ");
}
