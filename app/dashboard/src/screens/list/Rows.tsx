/** The list as a table: for texts and values, and for whoever compares scores. */

import { Link } from "react-router";

import type { Tag } from "../../api/types";
import { ExampleInput } from "../../components/ExampleInput";
import { CategoryChip, Labels, SuspicionBar } from "../../components/marks";
import { scoreMeaning } from "../../lib/categories";
import { capital, decimal, words } from "../../lib/format";
import type { ListState } from "../../lib/listState";
import { inOneLine, useExampleLink } from "./exampleLink";

interface Props {
  tags: Tag[];
  state: ListState;
  select: (index: number) => void;
  restart: (change: Partial<ListState>) => void;
}

export function Rows({ tags, state, select, restart }: Props) {
  const linkTo = useExampleLink(state);
  const scores = Object.keys(tags[0]?.scores ?? {});
  const sortBy = (orderBy: string) => {
    restart({ orderBy });
  };
  return (
    <div className="scroll panel">
      <table className="tags">
        <thead>
          <tr>
            <th scope="col">Example</th>
            <th scope="col">Given → suggested</th>
            <th scope="col">Tag</th>
            <SortHeader name="suspicion" state={state} sortBy={sortBy} />
            {scores.map((score) => (
              <SortHeader key={score} name={score} state={state} sortBy={sortBy} number />
            ))}
          </tr>
        </thead>
        <tbody>
          {tags.map((tag) => (
            <tr key={tag.index} className={tag.index === state.at ? "selected" : undefined}>
              <td className="example-cell">
                <Link
                  to={linkTo(tag)}
                  data-index={tag.index}
                  aria-label={inOneLine(tag)}
                  onFocus={() => {
                    select(tag.index);
                  }}
                >
                  <ExampleInput shown={tag} alt={tag.key} size="small" />
                  <span className="muted key">{tag.key}</span>
                </Link>
              </td>
              <td>
                <Labels tag={tag} />
              </td>
              <td>
                <CategoryChip category={tag.tag} />
              </td>
              <td className="suspicion-cell">
                <SuspicionBar value={tag.suspicion} />
              </td>
              {scores.map((score) => (
                <td key={score} className="number">
                  {decimal(tag.scores[score])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface SortProps {
  name: string;
  state: ListState;
  sortBy: (name: string) => void;
  number?: boolean;
}

function SortHeader({ name, state, sortBy, number = false }: SortProps) {
  const current = state.orderBy === name;
  return (
    <th scope="col" className={number ? "number" : undefined} aria-sort={current ? "descending" : undefined}>
      <button
        type="button"
        className={current ? "sort current" : "sort"}
        title={`${scoreMeaning(name) ?? words(name)}. Worst first.`}
        onClick={() => {
          sortBy(name);
        }}
      >
        {name === "aum" ? "AUM" : capital(words(name))}
        {current ? <span aria-hidden="true">↓</span> : null}
      </button>
    </th>
  );
}
