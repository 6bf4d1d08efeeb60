/** ⑤ Review 100: a random sample of the ranking, one example after the other, and what the reviews say of all. */

import { useState } from "react";
import { Link, useParams } from "react-router";

import { useCalibration, useDataset, useProject, useReviewing, useReviewSample, useTagging } from "../../api/queries";
import type { Calibration, DecisionWord, ReviewSample, SampledTag } from "../../api/types";
import { ExampleInput } from "../../components/ExampleInput";
import { NotReady } from "../../components/NotReady";
import { Problem } from "../../components/Problem";
import { Heading } from "../../components/Shell";
import { type Shortcut, Shortcuts } from "../../components/Shortcuts";
import { Skeleton } from "../../components/Skeleton";
import { TaggingTabs } from "../../components/TaggingTabs";
import { count, share, titleOf } from "../../lib/format";
import { estimateInWords, FEWEST_REVIEWS, nextOpen } from "../../lib/review";

const SIZE = 100;

export default function ReviewScreen() {
  const project = useProject();
  const taggingId = Number(useParams().taggingId);
  const tagging = useTagging(taggingId);
  const dataset = useDataset(tagging.data?.dataset_id).data;
  const ready = tagging.data?.state === "finished";
  const sample = useReviewSample(taggingId, ready);
  const calibration = useCalibration(taggingId, tagging.data?.calibration === "reviews");
  const { draw, decide, calibrate } = useReviewing();
  const path = { project, tagging_id: taggingId };
  const title = dataset ? titleOf(dataset) : `Tagging ${taggingId}`;
  const error = tagging.error ?? sample.error ?? draw.error ?? decide.error ?? calibrate.error ?? calibration.error;
  return (
    <>
      <title>{`Review · ${title} · Sondage`}</title>
      <Heading crumbs={<Link to={`/projects/${project}`}>Runs</Link>} title={title} facts={`Tagging ${taggingId} · how many labels are wrong`}>
        <TaggingTabs taggingId={taggingId} current="review" />
      </Heading>
      {error ? <Problem error={error} retry={() => { void sample.refetch(); }} /> : null}
      {tagging.data && !ready ? <NotReady tagging={tagging.data} /> : null}
      {ready && sample.isPending ? <Skeleton lines={8} /> : null}
      {calibration.data ? <Estimate calibration={calibration.data} /> : null}
      {sample.data?.size === 0 ? (
        <section className="panel panel-padded">
          <p>A random sample, spread over the whole ranking, tells how many labels are wrong. Looking at the worst alone cannot.</p>
          <button type="button" disabled={draw.isPending} onClick={() => { draw.mutate({ params: { path }, body: { size: SIZE } }); }}>
            Draw {SIZE} examples
          </button>
        </section>
      ) : null}
      {sample.data && sample.data.size > 0 && tagging.data ? (
        <Walk
          sample={sample.data}
          decide={(index, decision, label) => {
            const params = { path: { project, dataset_id: tagging.data.dataset_id } };
            decide.mutate({ params, body: { index, decision, label, note: "" } });
          }}
          calibrate={() => { calibrate.mutate({ params: { path } }); }}
        />
      ) : null}
    </>
  );
}

interface WalkProps {
  sample: ReviewSample;
  decide: (index: number, decision: DecisionWord, label: number | null) => void;
  calibrate: () => void;
}

function Walk({ sample, decide, calibrate }: WalkProps) {
  const [chosen, setChosen] = useState<number>();
  const place = chosen ?? nextOpen(sample.items, 0) ?? 0;
  const shown = sample.items[place];
  // Nothing waits for the answer: keys that come quickly are for the next example already.
  const say = (decision: DecisionWord) => {
    if (!shown || (decision === "relabel" && shown.suggested_label === null)) return;
    decide(shown.index, decision, decision === "relabel" ? shown.suggested_label : null);
    setChosen(nextOpen(sample.items, place + 1) ?? place);
  };
  const move = (step: number) => { setChosen(Math.min(Math.max(place + step, 0), sample.size - 1)); };
  const shortcuts: Shortcut[] = [
    { keys: ["k"], does: "Keep: the label is right", run: () => { say("keep"); } },
    { keys: ["r"], does: "Relabel to the suggested label", run: () => { say("relabel"); } },
    { keys: ["e"], does: "Exclude: the label is wrong", run: () => { say("exclude"); } },
    { keys: ["u"], does: "Unsure", run: () => { say("unsure"); } },
    { keys: ["ArrowRight"], does: "Next example", run: () => { move(1); } },
    { keys: ["ArrowLeft"], does: "Previous example", run: () => { move(-1); } },
  ];
  return (
    <section className="panel panel-padded" aria-label="Sample">
      <p>
        <progress value={sample.num_decided} max={sample.size} aria-label="Decided" /> {count(sample.num_decided)} of {count(sample.size)} decided
      </p>
      {shown ? <Question tag={shown} /> : null}
      <div className="segmented" role="group" aria-label="Decision">
        {shortcuts.slice(0, 4).map(({ keys, does, run }) => (
          <button key={does} type="button" onClick={run} disabled={keys[0] === "r" && shown?.suggested_label === null}>
            {does} <kbd>{keys[0]}</kbd>
          </button>
        ))}
      </div>
      <button type="button" onClick={calibrate} disabled={sample.num_decided < Math.min(FEWEST_REVIEWS, sample.size)}>
        Estimate
      </button>
      <Shortcuts shortcuts={shortcuts} />
    </section>
  );
}

function Question({ tag }: { tag: SampledTag }) {
  return (
    <div className="verdict-input">
      <ExampleInput shown={tag} alt={tag.key} size="big" />
      <dl className="facts">
        <div><dt>Example</dt><dd>{tag.key}</dd></div>
        <div><dt>Given label</dt><dd>{tag.label_name}</dd></div>
        <div><dt>Suggested label</dt><dd>{tag.suggested_label_name ?? "the same"}</dd></div>
        <div><dt>Decision</dt><dd>{tag.decision ?? "none yet"}</dd></div>
      </dl>
    </div>
  );
}

function Estimate({ calibration }: { calibration: Calibration }) {
  return (
    <section className="panel panel-padded" aria-label="Estimate">
      <h2>{estimateInWords(calibration.share_wrong)} of the labels are wrong</h2>
      <p className="muted small">
        {count(calibration.num_reviews)} reviews; {share(calibration.level)} intervals. {calibration.assumption}
      </p>
      <ul>
        {calibration.top_lists.map((top) => (
          <li key={top.k}>Of the first {count(top.k)}: {estimateInWords(top)}</li>
        ))}
      </ul>
      {calibration.warnings.map((warning) => <p key={warning} className="notice">{warning}</p>)}
    </section>
  );
}
