/** What stands around every screen: the name, where one is, and whether the server and a worker are alive. */

import type { ReactNode } from "react";
import { Link, Outlet, useNavigate } from "react-router";

import { useHealth, useProject, useProjects } from "../api/queries";
import { ago, isOlderThan } from "../lib/format";

const WORKER_SILENT_AFTER_MS = 60_000;

export function Shell() {
  return (
    <>
      <a className="hidden" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <Link to="/" className="brand">
          <img src="/favicon.svg" alt="" width="18" height="18" />
          Sondage
        </Link>
        <ProjectSwitch />
        <Alive />
      </header>
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
    </>
  );
}

function ProjectSwitch() {
  const project = useProject();
  const navigate = useNavigate();
  const projects = useProjects().data?.items ?? [];
  if (projects.length < 2) return null;
  return (
    <select
      aria-label="Project"
      value={project}
      onChange={(event) => void navigate(`/projects/${event.target.value}`)}
    >
      {projects.map(({ name }) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  );
}

function Alive() {
  const { data, isError } = useHealth();
  if (isError) return <span className="alive bad">server out of reach</span>;
  if (!data) return <span className="alive" />;
  if (data.database !== "ok") return <span className="alive bad">database {data.database.replace("_", " ")}</span>;
  const seen = data.worker_seen_at;
  const silent = !seen || isOlderThan(seen, WORKER_SILENT_AFTER_MS);
  if (silent) {
    const hint = seen ? `A worker was last seen ${ago(seen)}.` : "No worker has been seen yet.";
    return (
      <span className="alive quiet" title={`${hint} Start one with: python -m worker`}>
        no worker
      </span>
    );
  }
  return <span className="alive">worker ready</span>;
}

/** A screen's heading: a path back, a title, a line of facts, and its tools. */
export function Heading({ crumbs, title, facts, children }: {
  crumbs?: ReactNode;
  title: ReactNode;
  facts?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className="heading">
      <div>
        {crumbs ? (
          <nav className="crumbs" aria-label="Breadcrumb">
            {crumbs}
          </nav>
        ) : null}
        <h1>{title}</h1>
        {facts ? <p className="muted">{facts}</p> : null}
      </div>
      <div className="tools">{children}</div>
    </div>
  );
}
