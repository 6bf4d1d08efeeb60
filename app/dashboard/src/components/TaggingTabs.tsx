/** The views of a tagging. */

import { Link } from "react-router";

import { useProject } from "../api/queries";

export function TaggingTabs({ taggingId, current }: { taggingId: number; current?: "list" | "report" | "review" | "compare" }) {
  const to = `/projects/${useProject()}/taggings/${taggingId}`;
  return (
    <nav className="tabs" aria-label="Tagging">
      <Link to={to} aria-current={current === "list" ? "page" : undefined}>
        Suspicious labels
      </Link>
      <Link to={`${to}/report`} aria-current={current === "report" ? "page" : undefined}>
        Report
      </Link>
      <Link to={`${to}/review`} aria-current={current === "review" ? "page" : undefined}>
        Review 100
      </Link>
      <Link to={`${to}/compare`} aria-current={current === "compare" ? "page" : undefined}>
        Compare
      </Link>
    </nav>
  );
}
