/** The calls that the screens make, checked by the compiler against cloud/openapi.json. */

import createClient from "openapi-fetch";
import { learnServerTime } from "../clock";
import { parseTime } from "../format/time";
import type { PlantEntry, Reading, Status } from "../plant/plant";
import type { Asset, AssetStatus, PlacedAsset, History, LastColumns, Me, PlantTree, Problem, paths } from "./types";

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

export const fetchMe = (): Promise<Me> => unwrap(api.GET("/api/v1/auth/me"));

export const signIn = (username: string, password: string): Promise<unknown> =>
  unwrap(api.POST("/api/v1/auth/login", { body: { username, password } }));

export const redeemLink = (token: string): Promise<unknown> =>
  unwrap(api.POST("/api/v1/auth/link", { body: { token } }));

export const signOut = (): Promise<unknown> => unwrap(api.POST("/api/v1/auth/logout"));

export const setPassword = (password: string): Promise<unknown> =>
  unwrap(api.PUT("/api/v1/auth/password", { body: { new: password } }));

/** Every asset of the plant with its place, in the order of the tree. */
export async function fetchPlant(): Promise<PlantEntry[]> {
  return flatten(await unwrap<PlantTree>(api.GET("/api/v1/plant")));
}

export function statusOf({ online, standing, condition, state, state_signal, fault, why }: AssetStatus): Status {
  return { online, standing, condition, state, stateSignal: state_signal, fault, why };
}

export function entryOf(asset: PlacedAsset): PlantEntry {
  const { id, kind, names, label, enterprise, site, area, line, last_seen = null, last_data = null } = asset;
  return { id, kind, names, label, last_seen, last_data, place: { enterprise, site, area, line }, status: statusOf(asset) };
}

export function flatten(tree: PlantTree): PlantEntry[] {
  const entries: PlantEntry[] = [];
  for (const enterprise of tree.enterprises)
    for (const site of enterprise.sites)
      for (const area of site.areas)
        for (const line of area.lines)
          for (const asset of line.assets) {
            entries.push(entryOf({ ...asset, enterprise: enterprise.id, site: site.id, area: area.id, line: line.id }));
          }
  return entries;
}

export const fetchAsset = (id: string): Promise<Asset> =>
  unwrap(api.GET("/api/v1/assets/{asset}", { params: { path: { asset: id } } }));

const ofAsset = (id: string) => ({ params: { path: { asset: id } } });

/** Take a machine that is gone out of the plant; its history stays. */
export const retireAsset = (id: string): Promise<void> => unwrap(api.POST("/api/v1/assets/{asset}/retire", ofAsset(id)));

export const unretireAsset = (id: string): Promise<void> => unwrap(api.POST("/api/v1/assets/{asset}/unretire", ofAsset(id)));

/** Delete a machine that is gone, with all that it ever said. */
export const deleteAsset = (id: string): Promise<void> =>
  unwrap(api.DELETE("/api/v1/assets/{asset}", { params: { path: { asset: id }, query: { confirm: id } } }));

export type LastRow = Reading & { readonly asset: string; readonly signal: string; readonly unit: string };

/** Whole numbers of which JSON.parse would lose digits come as text. */
export const EXACT = { integers: "text" } as const;

/** The newest sample of every series, of all machines or of one. */
export async function fetchLast(id?: string): Promise<LastRow[]> {
  const query = { ...EXACT, ...(id === undefined ? {} : { asset: [id] }) };
  const columns = await unwrap<LastColumns>(api.GET("/api/v1/telemetry/last", { params: { query } }));
  return columns.asset.map((asset, i) => ({
    asset,
    signal: columns.signal[i]!,
    value: columns.value[i] ?? null,
    unit: columns.unit[i]!,
    quality: columns.quality[i]!,
    time: parseTime(columns.time[i]) ?? 0,
  }));
}

export interface HistoryQuery {
  readonly asset: string;
  readonly signals: readonly string[];
  /** ms since 1970. */
  readonly start: number;
  readonly end: number;
  /** Buckets over the range; without it raw samples. */
  readonly points?: number;
}

export const fetchHistory = (query: HistoryQuery, signal?: AbortSignal): Promise<History> =>
  unwrap(
    api.GET("/api/v1/telemetry/history", {
      params: {
        query: {
          asset: query.asset,
          ...EXACT,
          signal: [...query.signals],
          start: new Date(query.start).toISOString(),
          end: new Date(query.end).toISOString(),
          ...(query.points === undefined ? {} : { points: query.points }),
        },
      },
      ...(signal ? { signal } : {}),
    }) as Promise<Outcome<History>>, // with format=json, which is the default, it is not the Arrow stream
  );

/** The address from which a browser downloads raw samples. */
export function exportUrl(query: Omit<HistoryQuery, "points">, format: "csv" | "parquet"): string {
  const parameters = new URLSearchParams({ asset: query.asset, format });
  for (const signal of query.signals) parameters.append("signal", signal);
  parameters.append("start", new Date(query.start).toISOString());
  parameters.append("end", new Date(query.end).toISOString());
  return `/api/v1/telemetry/export?${parameters}`;
}
