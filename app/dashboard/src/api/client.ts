/** ⑥ The typed HTTP client: adds the key where one is set, and turns every problem+json answer into an ApiError. */

import createFetchClient, { type Middleware } from "openapi-fetch";
import createQueryClient from "openapi-react-query";

import type { paths } from "./schema";
import type { Problem } from "./types";

const KEY_NAME = "sondage.key";

export const apiKey = {
  get: (): string | null => sessionStorage.getItem(KEY_NAME),
  set: (key: string): void => {
    sessionStorage.setItem(KEY_NAME, key);
  },
  headers: (): Record<string, string> => {
    const key = apiKey.get();
    return key ? { Authorization: `Bearer ${key}` } : {};
  },
};

/** What the server said was wrong. `message` is the problem's detail, which says what to do. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
  }
}

export async function asApiError(response: Response): Promise<ApiError> {
  const problem: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  return new ApiError(response.status, isObject(problem) ? problem : {});
}

function isObject(value: unknown): value is Partial<Problem> {
  return typeof value === "object" && value !== null;
}

const keysAndProblems: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(apiKey.headers())) request.headers.set(name, value);
    return request;
  },
  async onResponse({ response }) {
    if (!response.ok) throw await asApiError(response);
    return response;
  },
};

export const http = createFetchClient<paths>({ baseUrl: window.location.origin });
http.use(keysAndProblems);

export const api = createQueryClient(http);
