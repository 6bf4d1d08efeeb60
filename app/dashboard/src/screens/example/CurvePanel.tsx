/** ③ ④ The example's curve over the bands of the probe categories, what was predicted, and the nearest probes. */

import { useState } from "react";

import { useRun } from "../../api/queries";
import type { Explanation, Neighbour, Tag, Tagging } from "../../api/types";
import { Dot } from "../../components/marks";
import { Problem } from "../../components/Problem";
import { Skeleton } from "../../components/Skeleton";
import { inOrder } from "../../lib/categories";
import { capital } from "../../lib/format";
import { runInShort } from "../../lib/training";
import { useWidth } from "../../lib/useWidth";
import { CurveChart } from "./CurveChart";
import { Neighbours } from "./Neighbours";
import { PredictedStrip } from "./PredictedStrip";
import { CHANNELS, type CurveChoice, wasSeen } from "./useCurveChoice";

interface Props {
  tagging: Tagging;
  tag: Tag;
  choice: CurveChoice;
}

export function CurvePanel({ tagging, tag, choice }: Props) {
  const { data, error, refetch } = choice.explanation;
  return (
    <div className="curve-side">
      <section className="panel curve-panel" aria-label="Curve">
        <div className="curve-controls">
          <h2>{capital(choice.channel)} over the epochs</h2>
          <Controls tagging={tagging} choice={choice} />
        </div>
        {error ? <Problem error={error} retry={refetch} /> : null}
        {!data && !error ? <Skeleton lines={1} height={380} /> : null}
        {data ? <Curves explanation={data} tag={tag} choice={choice} /> : null}
      </section>
    </div>
  );
}

function Controls({ tagging, choice }: Omit<Props, "tag">) {
  return (
    <>
      <div className="segmented" role="group" aria-label="Channel">
        {CHANNELS.map((channel) => (
          <button key={channel} type="button" aria-pressed={channel === choice.channel} onClick={() => { choice.choose({ channel }); }}>
            {capital(channel)}
          </button>
        ))}
      </div>
      {choice.channel === "loss" ? (
        <button type="button" aria-pressed={choice.scale === "log"} className="toggle" onClick={choice.nextScale}>
          Log
        </button>
      ) : null}
      {tagging.run_ids.length > 1 ? (
        <div className="segmented" role="group" aria-label="Run">
          {tagging.run_ids.map((id) => (
            <RunButton key={id} id={id} choice={choice} />
          ))}
        </div>
      ) : null}
    </>
  );
}

function RunButton({ id, choice }: { id: number; choice: CurveChoice }) {
  const run = useRun(id).data;
  return (
    <button type="button" aria-pressed={id === choice.runId} title={run?.name} onClick={() => { choice.choose({ run: id }); }}>
      {run ? runInShort(run) : `Run ${id}`}
    </button>
  );
}

function Curves({ explanation, tag, choice }: { explanation: Explanation; tag: Tag; choice: CurveChoice }) {
  const [container, width] = useWidth();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [category, setCategory] = useState<string | null>(null);
  const [hovered, setHovered] = useState<Neighbour | null>(null);
  const neighbour = hovered && explanation.neighbours.includes(hovered) ? hovered : null;
  const seen = wasSeen(explanation);
  const toggle = (name: string) => {
    setHidden((all) => (all.has(name) ? new Set([...all].filter((other) => other !== name)) : new Set([...all, name])));
  };
  return (
    <>
      {seen ? null : (
        <p className="notice">A probe took this example&apos;s place in this run: it was not trained on, so it has no curve here.</p>
      )}
      <ul className="legend" aria-label="Bands">
        <li className="legend-own">
          <span className="legend-line" aria-hidden="true" /> this example
        </li>
        {inOrder(explanation.bands.map((band) => band.category)).map((name) => (
          <li key={name}>
            <button
              type="button"
              className="quiet"
              aria-pressed={!hidden.has(name)}
              title={hidden.has(name) ? "Show this band" : "Hide this band"}
              onClick={() => { toggle(name); }}
              onMouseEnter={() => { setCategory(name); }}
              onMouseLeave={() => { setCategory(null); }}
            >
              <Dot category={name} />
              {name}
            </button>
          </li>
        ))}
      </ul>
      <div ref={container} className="chart-space">
        {width > 0 ? (
          <CurveChart
            explanation={explanation}
            scale={explanation.channel === "loss" ? choice.scale : "linear"}
            width={width}
            hidden={hidden}
            highlighted={neighbour?.probe.category ?? category}
            neighbour={neighbour}
          />
        ) : null}
        {seen && width > 0 ? <PredictedStrip predicted={explanation.predicted} tag={tag} width={width} /> : null}
      </div>
      <p className="muted small caption">
        Bands: where 80 % of the probes of a category lie; thin line: their median. {choice.channel === "loss" ? "Loss in nats; low is good." : "Margin of the given label; high is good."}
      </p>
      <Neighbours neighbours={explanation.neighbours} hovered={neighbour} hover={setHovered} />
    </>
  );
}
