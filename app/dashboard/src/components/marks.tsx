/** The small marks that mean the same on every screen: category chip, suspicion bar, label change, state badge. */

import type { CSSProperties } from "react";

import type { Tag } from "../api/types";
import { colourOf, meaningOf } from "../lib/categories";

export function CategoryChip({ category }: { category: string }) {
  return (
    <span className="chip" style={tint(category)} title={meaningOf(category)}>
      <Dot category={category} />
      {category}
    </span>
  );
}

export function Dot({ category }: { category: string }) {
  return <span className="dot" style={tint(category)} aria-hidden="true" />;
}

export const tint = (category: string): CSSProperties => ({ "--tint": colourOf(category) }) as CSSProperties;

export function SuspicionBar({ value, label = "Suspicion" }: { value: number | null; label?: string }) {
  if (value === null) {
    return <span className="muted">not trained on</span>;
  }
  return (
    <span className="suspicion">
      <Bar share={value} label={`${label} ${value.toFixed(2)}`} />
      <span className="suspicion-value">{value.toFixed(2)}</span>
    </span>
  );
}

export function Bar({ share, label, category }: { share: number; label: string; category?: string }) {
  const width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return (
    <span
      className="bar"
      role="meter"
      aria-label={label}
      aria-valuenow={share}
      aria-valuemin={0}
      aria-valuemax={1}
      style={category ? tint(category) : undefined}
    >
      <span style={{ width }} />
    </span>
  );
}

export function Labels({ tag }: { tag: Pick<Tag, "label_name" | "suggested_label_name"> }) {
  return (
    <span className="labels">
      <span className="given" title={`Given label: ${tag.label_name}`}>
        {tag.label_name}
      </span>
      {tag.suggested_label_name ? (
        <>
          <span className="arrow" aria-label="suggested">
            →
          </span>
          <span className="suggested" title={`Suggested label: ${tag.suggested_label_name}`}>
            {tag.suggested_label_name}
          </span>
        </>
      ) : null}
    </span>
  );
}

export function StateBadge({ state }: { state: string }) {
  return <span className={`state ${state}`}>{state}</span>;
}
