/** ⑤ What a tagging looked at, and how well it did, in the words of every screen. */

import type { Tagging } from "../api/types";
import { share } from "./format";

type Seen = Pick<Tagging, "epochs" | "of_epochs">;

/** Undefined where all epochs were looked at. */
export const epochsInWords = ({ epochs, of_epochs: of }: Seen): string | undefined =>
  epochs === null || epochs === undefined ? undefined : `after ${epochs}${of ? ` of ${of}` : ""} epochs`;

export const isEarly = ({ epochs }: Pick<Tagging, "epochs">): boolean => epochs !== null && epochs !== undefined;

export function heldOutInWords({ held_out_accuracy: accuracy }: Pick<Tagging, "held_out_accuracy">): string | undefined {
  return accuracy === null || accuracy === undefined ? undefined : `${share(accuracy)} of held-out probes right`;
}

/** How many seeds give this tag; undefined where one alone trained the example, or nobody counted. */
export function seedsInWords(tag: { runs_trained?: number | null; runs_agreeing?: number | null }): string | undefined {
  const { runs_trained: trained, runs_agreeing: agreeing } = tag;
  if (!trained || trained < 2 || agreeing === null || agreeing === undefined) return undefined;
  return `the same tag in ${agreeing} of ${trained} seeds`;
}
