/** How a run was trained, and what a dataset holds, in the words of every screen. */

import type { Dataset, Run } from "../api/types";
import { inline } from "./format";

type Trained = Pick<Run, "recorded" | "seed" | "recipe" | "protocol">;

/** Of a run that a loop of the user's own recorded, nobody knows the seed or the recipe. */
export function trainingInWords({ recorded, seed, recipe, protocol }: Trained): string {
  const parts = recorded
    ? ["recorded by its own loop", protocol.training_loss, protocol.augment]
    : [`seed ${seed}`, recipe.model, recipe.optimiser, recipe.lr === undefined ? undefined : `lr ${inline(recipe.lr)}`];
  return parts.filter((part) => part !== undefined && part !== null).map(inline).join(" · ");
}

/** A run as a button calls it, beside the others of its tagging. */
export const runInShort = ({ recorded, seed, name }: Pick<Run, "recorded" | "seed" | "name">): string => (recorded ? name : `Seed ${seed}`);

/** Runs of a tagging: those that were started together by their one name, with their seeds; recorded ones by name. */
export function runsInWords(runs: Pick<Run, "name" | "seed" | "recorded">[]): string {
  const seeded = runs.filter((run) => !run.recorded);
  const names = [...new Set(runs.map((run) => (run.recorded ? run.name : withoutSeed(run))))].join(", ");
  if (!seeded.length) return `${names}, recorded by ${runs.length > 1 ? "their" : "its"} own loop`;
  const seeds = seeded.map(({ seed }) => seed).sort((a, b) => a - b);
  return `${names}, ${seeds.length > 1 ? "seeds" : "seed"} ${seeds.join(", ")}`;
}

const withoutSeed = ({ name, seed }: Pick<Run, "name" | "seed">): string =>
  name.endsWith(`-s${seed}`) ? name.slice(0, -`-s${seed}`.length) : name;

export const hasInputs = ({ modality }: Pick<Dataset, "modality">): boolean => modality !== "none";

export const modalityInWords = (dataset: Pick<Dataset, "modality">): string => (hasInputs(dataset) ? dataset.modality : "labels only");
