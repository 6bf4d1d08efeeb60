/** An error as the server told it, with a way to try again, or to enter a key where one is asked for. */

import { useQueryClient } from "@tanstack/react-query";
import type { SubmitEvent } from "react";

import { ApiError, apiKey } from "../api/client";

const UNREACHABLE = "The server cannot be reached. Is it still running?";

export function Problem({ error, retry }: { error: unknown; retry?: () => unknown }) {
  if (error instanceof ApiError && error.status === 401) return <KeyForm detail={error.message} />;
  const problem = error instanceof ApiError ? error.problem : {};
  return (
    <div className="problem" role="alert">
      <strong>{problem.title ?? "This could not be loaded"}</strong>
      <p>{messageOf(error)}</p>
      {problem.errors?.map((fault, place) => (
        <p key={place}>
          {fault.field ? <code>{fault.field}</code> : null} {fault.message}
        </p>
      ))}
      {problem.request_id ? <p className="muted">Request {problem.request_id}</p> : null}
      {retry ? (
        <button type="button" onClick={() => void retry()}>
          Try again
        </button>
      ) : null}
    </div>
  );
}

/** fetch rejects with a TypeError when nothing answers. */
export function messageOf(error: unknown): string {
  if (error instanceof TypeError) return UNREACHABLE;
  return error instanceof Error ? error.message : String(error);
}

function KeyForm({ detail }: { detail: string }) {
  const client = useQueryClient();
  const enter = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get("key");
    if (typeof key !== "string" || key.trim() === "") return;
    apiKey.set(key.trim());
    void client.resetQueries();
  };
  return (
    <form className="problem" onSubmit={enter}>
      <strong>This server asks for a key</strong>
      <p>{detail}</p>
      <label>
        Key <input type="password" name="key" autoComplete="off" required />
      </label>
      <button type="submit">Enter</button>
      <p className="muted">
        It is kept until this tab is closed. Keys are made on the server: <code>python -m app keys create</code>
      </p>
    </form>
  );
}
