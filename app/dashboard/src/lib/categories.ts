/** The categories of probes and tags: their order, colour and meaning. Colours live in styles/tokens.css. */

const KNOWN = ["prototypical", "atypical", "noisy", "ood", "corrupted", "unsure"] as const;
const NUM_OWN_COLOURS = 3;

const MEANING: Record<string, string> = {
  prototypical: "Easy: like most of its class",
  atypical: "Rare or hard, but learned",
  noisy: "Its label is probably wrong",
  ood: "Foreign: belongs to none of the classes",
  corrupted: "Its input is damaged",
  unsure: "No category was earned",
};

export const meaningOf = (category: string): string => MEANING[category] ?? "A category of your own";

/** A CSS colour, the same one for a category wherever it appears. */
export function colourOf(category: string): string {
  if ((KNOWN as readonly string[]).includes(category)) return `var(--category-${category})`;
  return `var(--category-own-${hash(category) % NUM_OWN_COLOURS})`;
}

/** Known categories in their usual order, then the user's own by name. */
export function inOrder(categories: Iterable<string>): string[] {
  const rank = (category: string) => {
    const place = (KNOWN as readonly string[]).indexOf(category);
    return place === -1 ? KNOWN.length : place;
  };
  return [...categories].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

function hash(text: string): number {
  let value = 0;
  for (const character of text) value = (value * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return value;
}

const CALIBRATION: Record<string, string> = {
  none: "A ranking, not a probability: worse labels stand higher, but the number does not say how many are wrong.",
  probes: "A ranking. The chance beside it is estimated from planted flips: it holds if real errors are like them.",
  reviews: "A ranking. The chance beside it is estimated from reviewers' decisions, for any kind of error.",
};

export const calibrationInWords = (calibration: string): string => CALIBRATION[calibration] ?? "";

const SCORE_MEANING: Record<string, string> = {
  suspicion: "How likely the given label is wrong, by the probes that the curve resembles",
  mean_loss: "Mean loss over the epochs",
  last_loss: "Loss in the last epoch",
  aum: "Area under the margin: mean margin of the given label over the epochs",
  learnability: "Mean probability of the given label over the epochs",
  certainty: "Mean probability of the likeliest class over the later half of the epochs: foreign inputs have little",
  distance: "Distance to the nearest class in the model's features, at the last look: foreign pictures are far, whatever their label",
  label_odds: "Log odds of the given label by classes fitted without the example, in the model's features at the last look",
};

export const scoreMeaning = (method: string): string | undefined => SCORE_MEANING[method];
