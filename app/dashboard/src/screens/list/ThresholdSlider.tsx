/** From sure to complete: from which chance on an example is tagged as wrong, and what is gained and lost by it. */

import { useState } from "react";

import type { ThresholdEffect } from "../../api/types";
import { effectInWords, stepOf, THRESHOLDS } from "../../lib/threshold";

interface Props {
  effect: ThresholdEffect;
  chosen: number | undefined;
  choose: (threshold: number | undefined) => void;
}

export function ThresholdSlider({ effect, chosen, choose }: Props) {
  const current = stepOf(chosen ?? effect.threshold);
  /** Where the handle is while it is held; the list follows when it is let go. */
  const [held, setHeld] = useState<number | undefined>();
  const step = held ?? current;
  const commit = () => {
    setHeld(undefined);
    if (step !== current) choose(THRESHOLDS[step]);
  };
  return (
    <div className="facet threshold" role="group" aria-label="Tagged as wrong">
      <h3>Tagged as wrong</h3>
      <input
        type="range"
        min={0}
        max={THRESHOLDS.length - 1}
        value={step}
        aria-label="From sure to complete"
        aria-valuetext={`Chance of being wrong above ${THRESHOLDS[step]}`}
        title={`Tagged as wrong is what is wrong with a chance above ${THRESHOLDS[step]}`}
        onChange={({ target }) => {
          setHeld(Number(target.value));
        }}
        onPointerUp={commit}
        onKeyUp={commit}
        onBlur={commit}
      />
      <div className="threshold-ends" aria-hidden="true">
        <span>sure</span>
        <span>complete</span>
      </div>
      <p className="small" role="status">
        {effectInWords(effect)}
      </p>
      {chosen === undefined ? null : (
        <button
          type="button"
          className="quiet clear"
          onClick={() => {
            choose(undefined);
          }}
        >
          As it was
        </button>
      )}
    </div>
  );
}
