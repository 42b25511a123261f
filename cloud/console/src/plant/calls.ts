/** The calls about machines and what they said. All raise ApiError. */

import { api, unwrap, type Outcome } from "../api/client";
import type { Asset, AssetStatus, History, LastColumns, PlacedAsset, PlantTree } from "../api/types";
import { parseTime } from "../format/time";
import type { Rules } from "./faults";
import type { Kinds } from "./kinds";
import type { PlantEntry, Reading, Status } from "./machine";

export const fetchKinds = (): Promise<Kinds> => unwrap(api.GET("/api/v1/kinds"));

export const fetchRules = (): Promise<Rules> => unwrap(api.GET("/api/v1/diagnosis/rules"));

/** Every asset of the plant with its place, in the order of the tree. */
export async function fetchPlant(): Promise<PlantEntry[]> {
  return flatten(await unwrap<PlantTree>(api.GET("/api/v1/plant")));
}

export function statusOf({ online, standing, condition, state, state_signal, fault, why, key_signals }: AssetStatus): Status {
  return { online, standing, condition, state, stateSignal: state_signal, fault, why, keySignals: key_signals };
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
