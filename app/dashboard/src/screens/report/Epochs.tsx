/** Which epochs the order by evidence rests on: those in which known wrong labels stand out. Drawn by Observable Plot. */

import * as Plot from "@observablehq/plot";
import { useEffect, useRef } from "react";

import { share } from "../../lib/format";
import { type EpochsOfRun, looksInWords } from "../../lib/reportParts";
import { useWidth } from "../../lib/useWidth";

const HEIGHT = 160;

export function Epochs({ found }: { found: EpochsOfRun[] }) {
  const [container, width] = useWidth();
  return (
    <section className="panel" aria-label="Which epochs count">
      <h2 className="panel-title">
        Which epochs count <span className="muted">{looksInWords(found)}</span>
      </h2>
      <div ref={container} className="panel-note">
        {width > 0 ? <Chart found={found} width={width} /> : null}
      </div>
      <p className="muted small panel-note">
        Weight of each epoch in the order by evidence: the more, the further planted wrong labels stand out in it. One line per run. A look at the features weighs the less, the more planted wrong labels these have learned by heart.
      </p>
    </section>
  );
}

function Chart({ found, width }: { found: EpochsOfRun[]; width: number }) {
  const figure = useRef<HTMLElement>(null);
  useEffect(() => {
    const points = found.flatMap(({ run, weights }) => weights.map((weight, place) => ({ run, epoch: place + 1, weight })));
    const last = Math.max(2, ...points.map(({ epoch }) => epoch));
    const chart = Plot.plot({
      width,
      height: HEIGHT,
      marginLeft: 44,
      ariaLabel: `Weights of ${last} epochs in ${found.length} runs`,
      style: { background: "none", color: "var(--muted)", fontFamily: "inherit", fontSize: "11px", overflow: "visible" },
      x: { domain: [1, last], label: "Epoch", tickFormat: "d", ticks: Math.min(last, 10) },
      y: { label: null, grid: true, tickFormat: (value: number) => share(value), ticks: 4, zero: true },
      marks: [
        Plot.lineY(points, { x: "epoch", y: "weight", z: "run", stroke: "var(--ink)", strokeWidth: 1.5 }),
        Plot.dot(points, { x: "epoch", y: "weight", r: 2, fill: "var(--ink)", title: ({ run, epoch, weight }: { run: string; epoch: number; weight: number }) => `${run}, epoch ${epoch}: ${share(weight, 1)}` }),
      ],
    });
    figure.current?.replaceChildren(chart);
  }, [found, width]);
  return <figure ref={figure} className="chart" style={{ minHeight: HEIGHT }} />;
}
