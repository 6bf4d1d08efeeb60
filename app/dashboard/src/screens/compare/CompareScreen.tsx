/** ⑤ Two taggings of one dataset version: which tags changed, how alike the lists are, what moved furthest. */

import { Link, useParams, useSearchParams } from "react-router";

import { useComparison, useDataset, useProject, useTagging, useTaggingsOf } from "../../api/queries";
import type { Tagging } from "../../api/types";
import { NotReady } from "../../components/NotReady";
import { Problem } from "../../components/Problem";
import { Heading } from "../../components/Shell";
import { Skeleton } from "../../components/Skeleton";
import { TaggingTabs } from "../../components/TaggingTabs";
import { titleOf } from "../../lib/format";
import { epochsInWords } from "../../lib/tagging";
import { Changes } from "./Changes";
import { Alike, Matrix, Tops } from "./Summary";

export default function CompareScreen() {
  const project = useProject();
  const taggingId = Number(useParams().taggingId);
  const [params, setParams] = useSearchParams();
  const tagging = useTagging(taggingId);
  const dataset = useDataset(tagging.data?.dataset_id).data;
  const ready = tagging.data?.state === "finished";
  const list = useTaggingsOf(tagging.data?.dataset_id);
  const others = (list.data?.items ?? []).filter(({ id, state }) => id !== taggingId && state === "finished");
  const otherId = Number(params.get("with") ?? others[0]?.id ?? 0);
  const found = useComparison(taggingId, otherId, ready && otherId > 0);
  const error = tagging.error ?? list.error ?? found.error;
  const title = dataset ? titleOf(dataset) : `Tagging ${taggingId}`;
  return (
    <>
      <title>{`Compare · ${title} · Sondage`}</title>
      <Heading
        crumbs={<Link to={`/projects/${project}`}>Runs</Link>}
        title={title}
        facts={`Tagging ${taggingId} · what is different in another tagging of the same examples`}
      >
        <TaggingTabs taggingId={taggingId} current="compare" />
      </Heading>
      {error ? <Problem error={error} retry={found.refetch} /> : null}
      {tagging.data && !ready ? <NotReady tagging={tagging.data} /> : null}
      {ready && list.data && !others.length ? <NoOther /> : null}
      {others.length ? (
        <label className="order compare-with">
          <span className="muted">Tagging {taggingId} beside</span>
          <select value={otherId} onChange={({ target }) => { setParams({ with: target.value }, { replace: true }); }}>
            {others.map((other) => (
              <option key={other.id} value={other.id}>
                {inWords(other)}
              </option>
            ))}
          </select>
        </label>
      ) : null}
      {found.isPending && ready && otherId > 0 && !error ? <Skeleton lines={10} /> : null}
      {found.data ? (
        <div className="report">
          <Alike found={found.data} />
          <div className="report-layout">
            <Matrix
              found={found.data}
              chosen={{ tag: params.get("tag"), other: params.get("other_tag") }}
              choose={(tag, other) => {
                setParams({ with: String(otherId), ...(tag && other ? { tag, other_tag: other } : {}) }, { replace: true });
              }}
            />
            <Tops found={found.data} />
          </div>
          <Changes
            taggingId={taggingId}
            otherId={otherId}
            tag={params.get("tag") ?? undefined}
            otherTag={params.get("other_tag") ?? undefined}
          />
        </div>
      ) : null}
    </>
  );
}

function NoOther() {
  return (
    <p className="notice">
      There is no other finished tagging of this dataset version. Tag again with other runs, epochs or settings:{" "}
      <code>sondage tag RUN --epochs 5</code>
    </p>
  );
}

function inWords(tagging: Tagging): string {
  const runs = tagging.run_ids.length === 1 ? `run ${tagging.run_ids[0]}` : `runs ${tagging.run_ids.join(", ")}`;
  return [`tagging ${tagging.id}`, `${tagging.tagger} tagger`, runs, epochsInWords(tagging)].filter(Boolean).join(" · ");
}
