/** ⑤ One example: what it is, what is said of it, and the curves that say why. */

import { Link, useNavigate, useParams, useSearchParams } from "react-router";

import { useDataset, useProject, useTag, useTagging } from "../../api/queries";
import type { Tag, Tagging } from "../../api/types";
import { Problem } from "../../components/Problem";
import { Heading } from "../../components/Shell";
import { type Shortcut, Shortcuts } from "../../components/Shortcuts";
import { Skeleton } from "../../components/Skeleton";
import { count, titleOf } from "../../lib/format";
import { listParams, parseListState, withoutListState } from "../../lib/listState";
import { CurvePanel } from "./CurvePanel";
import { useCurveChoice } from "./useCurveChoice";
import { type Step, usePlaceInList } from "./usePlaceInList";
import { Verdict } from "./Verdict";

export default function ExampleScreen() {
  const { taggingId, index } = useParams();
  const tagging = useTagging(Number(taggingId));
  const [params] = useSearchParams();
  const tag = useTag(Number(taggingId), Number(index), parseListState(params).threshold);
  const failed = tagging.error ? tagging : tag.error ? tag : undefined;
  if (failed) return <Problem error={failed.error} retry={failed.refetch} />;
  if (!tagging.data || !tag.data) return <Skeleton lines={10} />;
  return <Example tagging={tagging.data} tag={tag.data} index={Number(index)} stale={tag.isPlaceholderData} />;
}

interface Props {
  tagging: Tagging;
  /** The one before, while the one at `index` is on its way. */
  tag: Tag;
  index: number;
  stale: boolean;
}

function Example({ tagging, tag, index, stale }: Props) {
  const navigate = useNavigate();
  const project = useProject();
  const dataset = useDataset(tagging.dataset_id).data;
  const [params] = useSearchParams();
  const state = parseListState(params);
  const place = usePlaceInList(tagging, state, index);
  const choice = useCurveChoice(tagging, index);

  /** Where the user's data has no ids of its own, the key is the number once more. */
  const named = tag.key !== String(tag.index);
  const list = `/projects/${project}/taggings/${tagging.id}`;
  const back = `${list}?${listParams({ ...state, at: index })}`;
  const linkTo = (to: Step) => {
    const query = listParams(to.list);
    // The next example is looked at in the same way: same run, channel and scale.
    for (const [name, value] of withoutListState(params)) query.append(name, value);
    return `${list}/examples/${to.index}?${query}`;
  };
  const step = (to: Step | undefined) => {
    if (to) void navigate(linkTo(to), { replace: true });
  };

  const shortcuts: Shortcut[] = [
    { keys: ["j", "ArrowRight"], does: "Next example", run: () => { step(place.next); } },
    { keys: ["k", "ArrowLeft"], does: "Previous example", run: () => { step(place.previous); } },
    { keys: ["c"], does: "Other channel", run: choice.nextChannel },
    { keys: ["r"], does: "Other run", run: choice.nextRun },
    { keys: ["l"], does: "Linear or logarithmic loss", run: choice.nextScale },
    { keys: ["Escape"], does: "Back to the list", run: () => void navigate(back) },
  ];
  return (
    <>
      <title>{`${tag.key} · Sondage`}</title>
      <Heading
        crumbs={
          <>
            <Link to={`/projects/${project}`}>Runs</Link>
            <Link to={back}>{dataset ? titleOf(dataset) : `Dataset ${tagging.dataset_id}`}</Link>
          </>
        }
        title={named ? tag.key : `Example ${count(tag.index)}`}
        facts={`${named ? `Example ${count(tag.index)} · place` : "Place"} ${count(tag.position + 1)} by suspicion · tagging ${tagging.id}`}
      >
        {place.number === undefined ? null : (
          <span className="muted">
            {count(place.number)}
            {place.total === undefined ? "" : ` of ${count(place.total)}`}
          </span>
        )}
        <button type="button" disabled={!place.previous} onClick={() => { step(place.previous); }}>
          ← Previous
        </button>
        <button type="button" disabled={!place.next} onClick={() => { step(place.next); }}>
          Next →
        </button>
      </Heading>
      <div className={stale ? "example-layout stale" : "example-layout"}>
        <Verdict tag={tag} dataset={dataset} sentence={choice.explanation.data?.sentence} />
        <CurvePanel tagging={tagging} tag={tag} choice={choice} />
      </div>
      <Shortcuts shortcuts={shortcuts} />
    </>
  );
}
