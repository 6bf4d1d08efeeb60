/** The examples that moved furthest from one list to the other. */

import { Link } from "react-router";

import { useChanges, useProject } from "../../api/queries";
import type { TagChange } from "../../api/types";
import { ExampleInput } from "../../components/ExampleInput";
import { CategoryChip, Labels } from "../../components/marks";
import { Problem } from "../../components/Problem";
import { Skeleton } from "../../components/Skeleton";
import { count } from "../../lib/format";

interface Props {
  taggingId: number;
  otherId: number;
  tag: string | undefined;
  otherTag: string | undefined;
}

export function Changes({ taggingId, otherId, tag, otherTag }: Props) {
  const project = useProject();
  const changes = useChanges(taggingId, otherId, tag, otherTag);
  const found = changes.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className="panel wide" aria-label="Examples that moved furthest">
      <h2 className="panel-title">
        {tag && otherTag ? `From ${tag} to ${otherTag}, furthest moved first` : "What moved furthest in the list"}
      </h2>
      {changes.error ? <Problem error={changes.error} retry={changes.refetch} /> : null}
      {changes.isPending ? <Skeleton /> : null}
      {found.length ? (
        <div className="scroll">
          <table className="tags">
            <thead>
              <tr>
                <th scope="col">Example</th>
                <th scope="col">Given → suggested</th>
                <th scope="col" className="number">Place in {taggingId}</th>
                <th scope="col" className="number">Place in {otherId}</th>
                <th scope="col">Tag in {taggingId}</th>
                <th scope="col">Tag in {otherId}</th>
              </tr>
            </thead>
            <tbody>
              {found.map((change) => (
                <Row key={change.first.index} change={change} to={`/projects/${project}/taggings`} ids={[taggingId, otherId]} />
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
      {changes.data && !found.length ? <p className="muted panel-empty">There are none.</p> : null}
      {changes.hasNextPage ? (
        <button type="button" className="quiet more" disabled={changes.isFetchingNextPage} onClick={() => void changes.fetchNextPage()}>
          Show more
        </button>
      ) : null}
    </section>
  );
}

function Row({ change: { first, second }, to, ids }: { change: TagChange; to: string; ids: [number, number] }) {
  return (
    <tr>
      <td className="example-cell">
        <Link to={`${to}/${ids[0]}/examples/${first.index}`} aria-label={first.key}>
          <ExampleInput shown={first} alt={first.key} size="small" />
          <span className="muted key">{first.key}</span>
        </Link>
      </td>
      <td>
        <Labels tag={first} />
      </td>
      <td className="number">{place(first)}</td>
      <td className="number">{place(second)}</td>
      <td>
        <CategoryChip category={first.tag} />
      </td>
      <td>
        <CategoryChip category={second.tag} />
      </td>
    </tr>
  );
}

/** From 1, as people count; what has no suspicion has no place. */
const place = ({ suspicion, position }: TagChange["first"]): string => (suspicion === null ? "–" : count(position + 1));
