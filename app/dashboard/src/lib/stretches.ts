/** Runs of equal values in a sequence. */

export interface Stretch {
  name: string | null;
  start: number;
  length: number;
}

/** Equal neighbours as one. */
export function stretches(predicted: (string | null)[]): Stretch[] {
  const all: Stretch[] = [];
  predicted.forEach((name, epoch) => {
    const last = all.at(-1);
    if (last?.name === name) last.length += 1;
    else all.push({ name, start: epoch, length: 1 });
  });
  return all;
}
