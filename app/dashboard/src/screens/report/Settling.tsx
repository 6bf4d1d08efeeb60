/** From which epoch on tags are what they are at the end. Drawn by Observable Plot. */

import * as Plot from "@observablehq/plot";
import { useEffect, useRef } from "react";

import { count, share } from "../../lib/format";
import { type Settling as Found, settledInWords } from "../../lib/reportParts";
import { useWidth } from "../../lib/useWidth";

const HEIGHT = 200;

export function Settling({ found }: { found: Found }) {
  const [container, width] = useWidth();
  return (
    <section className="panel" aria-label="When tags settle">
      <h2 className="panel-title">
        When tags settle <span className="muted">{settledInWords(found)?.toLowerCase()}</span>
      </h2>
      <div ref={container} className="panel-note">
        {width > 0 ? <Chart found={found} width={width} /> : null}
      </div>
      <p className="muted small panel-note">
        Share of {count(found.num_sampled)} sampled tags, by curves cut after an epoch, that are the final ones already. Settled: {share(found.share_needed)}{" "}
        or more, from there to the end.
      </p>
    </section>
  );
}

function Chart({ found, width }: { found: Found; width: number }) {
  const figure = useRef<HTMLElement>(null);
  useEffect(() => {
    const points = found.epochs.map((epoch, place) => ({ epoch, equal: found.share_equal[place] ?? NaN }));
    const chart = Plot.plot({
      width,
      height: HEIGHT,
      marginLeft: 44,
      ariaLabel: `Share of the final tags, after ${found.epochs.join(", ")} epochs`,
      style: { background: "none", color: "var(--muted)", fontFamily: "inherit", fontSize: "11px", overflow: "visible" },
      x: { domain: [1, Math.max(found.num_epochs, 2)], label: "Epoch", tickFormat: "d", ticks: Math.min(found.num_epochs, 10) },
      y: { domain: [0, 1], label: null, grid: true, tickFormat: (value: number) => share(value), ticks: 5 },
      marks: [
        Plot.ruleY([found.share_needed], { stroke: "var(--muted)", strokeDasharray: "4 3" }),
        found.settled_after === null ? null : Plot.ruleX([found.settled_after], { stroke: "var(--accent)" }),
        Plot.lineY(points, { x: "epoch", y: "equal", stroke: "var(--ink)", strokeWidth: 2 }),
        Plot.dot(points, { x: "epoch", y: "equal", r: 3, fill: "var(--ink)", title: ({ epoch, equal }: { epoch: number; equal: number }) => `Epoch ${epoch}: ${share(equal, 1)}` }),
      ],
    });
    figure.current?.replaceChildren(chart);
  }, [found, width]);
  return <figure ref={figure} className="chart" style={{ minHeight: HEIGHT }} />;
}
