/** What grid and table share: where an example's link leads, and how it is read aloud. */

import { useProject } from "../../api/queries";
import type { Tag } from "../../api/types";
import { listParams, type ListState } from "../../lib/listState";
import { useParams } from "react-router";

export function useExampleLink(state: ListState): (tag: Tag) => string {
  const project = useProject();
  const taggingId = useParams().taggingId ?? "";
  const query = listParams({ ...state, at: undefined }).toString();
  return (tag) => `/projects/${project}/taggings/${taggingId}/examples/${tag.index}${query && `?${query}`}`;
}

export function inOneLine(tag: Tag): string {
  const suggestion = tag.suggested_label_name ? `, suggested ${tag.suggested_label_name}` : "";
  const suspicion = tag.suspicion === null ? "not trained on" : `suspicion ${tag.suspicion.toFixed(2)}`;
  return `${tag.key}: given ${tag.label_name}${suggestion}, ${tag.tag}, ${suspicion}`;
}
