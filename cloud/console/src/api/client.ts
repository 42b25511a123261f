/** How the screens ask the server: each call is checked by the compiler against cloud/openapi.json. */

import createClient from "openapi-fetch";
import { learnServerTime } from "../clock";
import type { Problem, paths } from "./types";

/** A call that failed: `detail` says what, `todo` what to do about it. `status` is 0 when no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly todo = "",
    /** What is wrong, for translations; empty when no answer came. */
    readonly code = "",
    readonly args: Readonly<Record<string, unknown>> = {},
    readonly fields: readonly string[] = [],
  ) {
    super(detail);
  }
}

const TIMEOUT_MS = 20_000;

async function timedFetch(request: Request): Promise<Response> {
  const askedAt = Date.now();
  try {
    const answer = await fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    learnServerTime(answer.headers.get("Date"), askedAt);
    return answer;
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new ApiError(0, error instanceof Error ? error.message : String(error));
  }
}

export const api = createClient<paths>({ fetch: timedFetch });

export interface Outcome<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer, or its problem as an ApiError. */
export async function unwrap<T>(call: Promise<Outcome<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  const problem = (typeof error === "object" && error !== null ? error : {}) as Partial<Problem>;
  throw new ApiError(
    response.status,
    problem.detail || problem.title || `HTTP ${response.status} ${response.statusText}`,
    problem.todo ?? "",
    problem.code ?? "",
    problem.args ?? {},
    (problem.errors ?? []).map(({ where }) => where),
  );
}
