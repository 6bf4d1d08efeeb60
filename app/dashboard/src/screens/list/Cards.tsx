/** The list as a grid: the picture is the main thing, the labels and the suspicion stand below it. */

import { Link } from "react-router";

import type { Tag } from "../../api/types";
import { ExampleInput } from "../../components/ExampleInput";
import { CategoryChip, Labels, SuspicionBar } from "../../components/marks";
import { decimal, words } from "../../lib/format";
import type { ListState } from "../../lib/listState";
import { inOneLine, useExampleLink } from "./exampleLink";

interface Props {
  tags: Tag[];
  state: ListState;
  select: (index: number) => void;
}

export function Cards({ tags, state, select }: Props) {
  const linkTo = useExampleLink(state);
  const score = state.orderBy in (tags[0]?.scores ?? {}) ? state.orderBy : undefined;
  return (
    <ul className={tags.some(({ picture_url }) => picture_url) ? "cards" : "cards wide"}>
      {tags.map((tag) => (
        <li key={tag.index}>
          <Link
            className={tag.index === state.at ? "card selected" : "card"}
            to={linkTo(tag)}
            data-index={tag.index}
            aria-label={inOneLine(tag)}
            onFocus={() => {
              select(tag.index);
            }}
          >
            <span className="card-input">
              <ExampleInput shown={tag} alt={tag.key} size="card" />
              {tag.decision ? <span className="decision">{tag.decision}</span> : null}
            </span>
            <span className="card-labels">
              <Labels tag={tag} />
            </span>
            <SuspicionBar value={tag.suspicion} />
            <span className="card-foot">
              <CategoryChip category={tag.tag} />
              <span className={score ? "card-score muted" : "card-key muted"} title={score ? words(score) : tag.key}>
                {score ? decimal(tag.scores[score]) : tag.key}
              </span>
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}
